// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/backend.hpp>

#include <atomic>
#include <cstddef>
#include <mutex>
#include <vector>

namespace hoist::detail::parallel {

/// The tasks of a loop that may be taken: those between two counters, and those that came back.
///
/// Every task passes the counters, which are atomic; tasks that come back are rare and stand behind
/// a mutex. A taken task is outstanding until it is settled (done, or failed for good) or given
/// back. Thread-safe.
class TaskQueue {
 public:
  /// Lets tasks below `limit` be taken. Limits only grow.
  void release(std::size_t limit) { limit_.store(limit); }
  std::size_t released() const noexcept { return limit_.load(); }
  /// Whether there seems to be a task to take; may be out of date when it returns.
  bool available() const noexcept { return next_.load() < limit_.load() || has_returned_.load(); }
  /// Whether every released task is settled.
  bool idle();

  /// Takes at most `batch_size(available)` tasks in a row; false where there are none.
  /// `on_drained` is called where another thread may have waited for tasks that this call had
  /// counted as outstanding and did not get.
  template <class BatchSize, class OnDrained>
  bool take(TaskRange& tasks, BatchSize&& batch_size, OnDrained&& on_drained);
  /// Puts back tasks that were not begun: they are no longer outstanding.
  void give_back(TaskRange tasks);
  /// Puts a task back that will be tried again. It stays outstanding until it is settled.
  void retry(std::size_t task);
  /// Ends tasks that were taken. Returns whether no released task is left.
  bool settle(std::size_t tasks) {
    return outstanding_.fetch_sub(tasks) == tasks && next_.load() == limit_.load();
  }

 private:
  template <class BatchSize>
  bool take_returned(TaskRange& tasks, BatchSize&& batch_size);

  // Each on a line of its own: one is written by those who take, the other by those who release.
  alignas(64) std::atomic<std::size_t> next_{0};
  alignas(64) std::atomic<std::size_t> limit_{0};
  std::atomic<bool> has_returned_{false};
  alignas(64) std::atomic<std::size_t> outstanding_{0};
  std::mutex mutex_;
  std::vector<TaskRange> returned_;
};

template <class BatchSize, class OnDrained>
bool TaskQueue::take(TaskRange& tasks, BatchSize&& batch_size, OnDrained&& on_drained) {
  if (has_returned_.load(std::memory_order_acquire) && take_returned(tasks, batch_size))
    return true;
  std::size_t at = next_.load();
  for (;;) {
    const std::size_t limit = limit_.load();
    if (at >= limit) return false;
    const std::size_t n = batch_size(limit - at);
    // Counted before it is taken: idle() must never see a taken task that isn't outstanding.
    outstanding_.fetch_add(n);
    if (next_.compare_exchange_weak(at, at + n)) {
      tasks = {at, at + n};
      return true;
    }
    if (outstanding_.fetch_sub(n) == n) on_drained();
  }
}

template <class BatchSize>
bool TaskQueue::take_returned(TaskRange& tasks, BatchSize&& batch_size) {
  const std::lock_guard lock(mutex_);
  if (returned_.empty()) return false;
  TaskRange& back = returned_.back();
  const std::size_t n = batch_size(back.size());
  tasks = {back.first, back.first + n};
  back.first += n;
  if (back.size() == 0) returned_.pop_back();
  has_returned_.store(!returned_.empty());
  outstanding_.fetch_add(n);
  return true;
}

}  // namespace hoist::detail::parallel
