// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/memory.hpp>
#include <hoist/store.hpp>

#include <chrono>
#include <functional>
#include <mutex>

#include "os/fork_hook.hpp"

namespace hoist::detail::memory {

/// Throws BadArgument for a negative age.
void check_limits(const SizeLimits& limits);

/// Removes entries, least recently used first, until the limits hold for those that `list` lists.
/// Returns how much that is; with `dry` nothing is removed.
StoreUsage reduce_store(
    StoreBackend& store, const SizeLimits& limits,
    const std::function<void(const std::function<void(const StoreItem&)>&)>& list,
    bool dry = false);
/// The same of all entries.
StoreUsage reduce_store(StoreBackend& store, const SizeLimits& limits);

/// Keeps a store within limits. A cleaning goes a tenth below them, so that its look at every entry
/// is paid by a tenth of all entries; whoever finds the store too large meanwhile waits for it.
class Evictor final {
 public:
  explicit Evictor(const SizeLimits& limits) : limits_(limits) {}

  /// To be called after each store.
  void stored(StoreBackend& store);

 private:
  using Clock = std::chrono::steady_clock;

  bool is_too_large(StoreBackend& store) const;
  bool is_age_due();

  const SizeLimits limits_;
  std::mutex mutex_;
  Clock::time_point next_age_check_ = {};
  os::ForkHook fork_hook_{mutex_};
};

}  // namespace hoist::detail::memory
