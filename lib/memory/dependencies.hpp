// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/entry.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "os/fork_hook.hpp"

namespace hoist::detail::memory {

/// The cached functions that a computation has called, or the tasks of a loop in a worker.
/// Thread-safe.
class DependencyLog : public std::enable_shared_from_this<DependencyLog> {
 public:
  DependencyLog();
  ~DependencyLog();
  DependencyLog(const DependencyLog&) = delete;
  DependencyLog& operator=(const DependencyLog&) = delete;

  /// Each function counts once, as long as its version and its variables stay the same.
  void add(const CacheDependency& dependency);
  std::vector<CacheDependency> all() const;
  /// Whether `take_new` would return anything.
  bool has_new() const noexcept { return new_.load(std::memory_order_acquire); }
  /// What was added since the last call.
  std::vector<CacheDependency> take_new();

  /// Different for each log of this process; greater for those made later.
  std::uint64_t number() const noexcept { return number_; }

 private:
  const std::uint64_t number_;
  mutable std::mutex mutex_;
  std::vector<CacheDependency> all_;
  std::size_t taken_ = 0;
  std::atomic<bool> new_{false};
  os::ForkHook fork_hook_{mutex_};
};

/// Where a thread's cached calls are noted.
struct Recording {
  DependencyLog* log = nullptr;
  /// Whether the thread runs a task of a loop: without a log, the loop is in no computation.
  bool is_task = false;
};
/// Of the calling thread.
Recording& recording() noexcept;
/// The calling thread's log, or null.
std::shared_ptr<DependencyLog> current_log();

/// Whether a cached call of the calling thread has to be noted, and the noting. A thread without a
/// log, which runs no task, may have been started by a computation: its calls are noted in all logs
/// that were made before the thread's first cached call.
bool is_recording() noexcept;
void note_dependency(const CacheDependency& dependency);

/// The computation of a result, by the calling thread. Computations of a thread nest.
class Computation {
 public:
  Computation();
  ~Computation();
  Computation(const Computation&) = delete;
  Computation& operator=(const Computation&) = delete;

  /// The thread goes on with what it did before. Returns what was called. At most once.
  std::vector<CacheDependency> end();
  bool has_ended() const noexcept { return log_ == nullptr; }

 private:
  const Recording before_;
  std::shared_ptr<DependencyLog> log_;
};

}  // namespace hoist::detail::memory
