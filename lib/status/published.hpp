// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "status/layout.hpp"

namespace hoist::detail::status {

/// The counters of one loop or executor, published as long as this exists. One that isn't published
/// (HOIST_TOP=0, no directory, no room) costs a comparison for each call. Thread-safe. Must not be
/// made with a mutex held that has a fork hook: the first one of a program makes hooks.
class PublishedLoop {
 public:
  /// `kind`: loop, executor, or free for one that isn't published.
  PublishedLoop(SlotState kind, std::string_view backend, unsigned workers, bool measures_time);
  PublishedLoop(const PublishedLoop&) = delete;
  PublishedLoop& operator=(const PublishedLoop&) = delete;
  ~PublishedLoop();

  void set_total(std::size_t tasks) noexcept;
  /// Adds tasks that are done; `failed` is the number of all that have.
  void add_done(std::size_t tasks, std::size_t failed) noexcept;
  /// Adds time that a worker has spent in tasks.
  void add_busy(double seconds) noexcept;

 private:
  /// Null also in a forked child: the loop is its parent's.
  LoopCounters* counters() const noexcept;

  Slot* slot_ = nullptr;
};

/// The counters of one cached function, published as long as this exists. Calls of forked children
/// count for the parent that has made this. Thread-safe. Made as a PublishedLoop is: without locks.
class PublishedFunction {
 public:
  explicit PublishedFunction(std::string_view name);
  PublishedFunction(const PublishedFunction&) = delete;
  PublishedFunction& operator=(const PublishedFunction&) = delete;
  ~PublishedFunction();

  void add_hit() noexcept { add(&FunctionCounters::hits); }
  void add_miss() noexcept { add(&FunctionCounters::misses); }

 private:
  void add(std::atomic<std::uint64_t> FunctionCounters::* counter) noexcept {
    if (slot_ != nullptr) (slot_->function().*counter).fetch_add(1, std::memory_order_relaxed);
  }

  Slot* slot_ = nullptr;
};

}  // namespace hoist::detail::status
