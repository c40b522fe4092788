// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/backend.hpp>
#include <hoist/detail/loop_driver.hpp>
#include <hoist/outcome.hpp>

#include <atomic>
#include <cstddef>
#include <deque>
#include <exception>
#include <map>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <vector>

namespace hoist::detail::parallel {

/// What became of a loop's tasks: how many are done or have failed, the failures, and, where
/// results are delivered one by one or with an account, which are complete. Thread-safe.
class Outcomes {
 public:
  Outcomes(const ParallelOptions& options, Deliver deliver)
      : deliver_(deliver),
        retries_(options.retries),
        finishes_(options.on_error == OnError::finish),
        marks_done_(deliver == Deliver::all && options.timeout.is_set()) {}

  Deliver deliver() const noexcept { return deliver_; }
  /// Whether each task is recorded by itself, not only counted.
  bool tracks_tasks() const noexcept {
    return deliver_ != Deliver::all && deliver_ != Deliver::futures;
  }
  /// Whether complete() wants to know of tasks: also where a loop that ends early is asked which
  /// of them are done.
  bool wants_completed() const noexcept { return tracks_tasks() || marks_done_; }
  /// Whether a task that fails for good ends the loop.
  bool failure_is_fatal() const noexcept {
    return deliver_ != Deliver::outcomes && deliver_ != Deliver::futures && !finishes_;
  }

  std::size_t done_count() const noexcept { return done_.load(); }
  std::size_t failed_count() const noexcept { return failed_.load(); }
  std::size_t finished_count() const noexcept { return done_count() + failed_count(); }

  /// Counts tasks that are done. Returns how many are finished by now.
  std::size_t count_done(std::size_t tasks) {
    return done_.fetch_add(tasks) + tasks + failed_.load();
  }
  /// How many tasks complete() has recorded.
  std::size_t completed_count() const noexcept { return recorded_.load(); }
  /// Records a task that is done.
  void complete(std::size_t task, double seconds);

  enum class Verdict : unsigned char { retry, recorded, fatal };
  /// Records a failed attempt. `may_retry`: whether the loop still starts tasks.
  Verdict fail(std::size_t task, const std::exception_ptr& error, double seconds, bool may_retry);
  /// Which attempt at a task is the next.
  unsigned attempt(std::size_t task);
  /// The end of the first tasks of a range whose next attempt is of one number.
  std::size_t alike(TaskRange tasks);
  /// Whether the task would be tried again if it failed now.
  bool has_retries_left(std::size_t task);

  /// Failures that did not end the loop, in the order of tasks.
  std::vector<TaskFailure> failures();
  /// Where tasks are not tracked, only whether it is done, as known at the end of a loop.
  TaskAccount account(std::size_t task);
  /// The next completed task, in the order that the deliverer wants; forgets it. Calls
  /// `discard(task)` for tasks that are left out because they failed.
  template <class Discard>
  std::optional<std::size_t> pop_completed(Discard&& discard);

 private:
  unsigned failures_of(std::size_t task) const;

  const Deliver deliver_;
  const unsigned retries_;
  const bool finishes_;
  const bool marks_done_;
  std::atomic<std::size_t> done_{0};
  std::atomic<std::size_t> failed_{0};
  std::atomic<std::size_t> recorded_{0};

  std::mutex mutex_;
  std::map<std::size_t, TaskFailure> failures_;
  std::unordered_map<std::size_t, unsigned> failed_attempts_;  // of tasks that may be tried again
  std::unordered_map<std::size_t, TaskAccount> accounts_;
  std::vector<bool> marked_;  // tasks that are done, where no more is kept of them
  std::deque<std::size_t> completed_;
  std::size_t next_in_order_ = 0;
};

template <class Discard>
std::optional<std::size_t> Outcomes::pop_completed(Discard&& discard) {
  const std::lock_guard lock(mutex_);
  if (deliver_ == Deliver::as_completed) {
    while (!completed_.empty()) {
      const std::size_t task = completed_.front();
      completed_.pop_front();
      const auto found = accounts_.find(task);
      const bool done = found->second.done;
      accounts_.erase(found);
      if (done) return task;
      discard(task);
    }
    return std::nullopt;
  }
  for (;;) {
    const auto found = accounts_.find(next_in_order_);
    if (found == accounts_.end()) return std::nullopt;
    const bool done = found->second.done;
    accounts_.erase(found);
    const std::size_t task = next_in_order_++;
    if (done) return task;
    discard(task);
  }
}

}  // namespace hoist::detail::parallel
