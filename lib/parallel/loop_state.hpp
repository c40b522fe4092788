// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/backend.hpp>
#include <hoist/detail/loop_driver.hpp>

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <optional>
#include <vector>

#include "parallel/batch_sizer.hpp"
#include "parallel/outcomes.hpp"
#include "parallel/settings.hpp"
#include "parallel/stop_control.hpp"
#include "parallel/task_queue.hpp"
#include "parallel/trace.hpp"
#include "parallel/worker_states.hpp"
#include "status/published.hpp"

namespace hoist::detail::parallel {

/// Counts events that the owner of a loop should look at, and lets it sleep until the next one.
class OwnerEvents {
 public:
  unsigned count() const noexcept { return count_.load(); }
  void add();
  /// Sleeps until the count is no longer `seen`, or the deadline.
  void wait(unsigned seen, Clock::time_point deadline);

 private:
  std::atomic<unsigned> count_{0};
  std::mutex mutex_;
  std::condition_variable changed_;
};

/// Throws TimedOut for a task of this process that has taken longer.
void check_task_time(std::size_t task, Clock::time_point began, const TimeLimit& limit);

/// Why a loop was interrupted whose ParallelOptions::stop_token was asked to stop.
inline constexpr const char* stopped_by_token = "the loop's stop_token was asked to stop";

/// A running loop: hands tasks to workers and records what they report.
class LoopState final : public Loop {
 public:
  LoopState(const Settings& settings, LoopTasks& tasks, Deliver deliver, bool reads, Trace* trace);

  const ParallelOptions& options() const noexcept override { return settings_.options; }
  unsigned n_jobs() const noexcept override { return settings_.n_jobs; }
  bool uses_all_workers() const noexcept override { return settings_.all_workers; }
  LoopTasks& tasks() noexcept override { return tasks_; }
  std::size_t known() const noexcept override { return queue_.released(); }
  bool stopping() const noexcept override { return stop_.stopping(); }
  bool owner_is_busy() const noexcept override {
    return reads_ || outcomes_.deliver() == Deliver::in_order ||
           outcomes_.deliver() == Deliver::as_completed || outcomes_.deliver() == Deliver::futures;
  }
  bool needs_batch_times() const noexcept override {
    return sizer_.is_automatic() || needs_task_times();
  }
  bool needs_task_times() const noexcept override {
    return outcomes_.tracks_tasks() || trace_ != nullptr ||
           settings_.options.task_timeout.is_set() || stop_.has_deadline();
  }
  bool available() const noexcept override { return queue_.available(); }
  bool idle() override { return queue_.idle(); }
  bool take(TaskRange& tasks, Worker& worker) override;
  unsigned attempt(TaskRange tasks) override { return outcomes_.attempt(tasks.first); }
  void give_back(TaskRange tasks) override;
  void request_split() override;
  void enter_tasks() override;
  void encode_context(Encoder& to) const override;
  void depends_on(Decoder& from) override;
  void run(TaskRange tasks, Worker& worker) override;
  bool run_all(Worker& worker) override;
  void arrived(TaskRange tasks, Worker& worker, TaskResults& results, Clock::time_point began,
               double seconds) override;
  void failed(std::size_t task, Worker& worker, std::exception_ptr error, Clock::time_point began,
              double seconds) override;
  unsigned epoch() const noexcept override { return events_.count(); }
  void wait(unsigned seen, Clock::time_point deadline) override { events_.wait(seen, deadline); }
  void signal() override { events_.add(); }

  // --- For the driver, which owns the loop. ---

  void set_session(Session* session) { session_ = session; }
  void set_deadline(Clock::time_point deadline) { stop_.set_deadline(deadline); }
  /// Looks whether time limits have passed that nobody else looks at.
  void check_times();
  /// When to do so next on account of tasks' limits.
  Clock::time_point next_overdue() { return stop_.next_overdue(); }
  /// Lets tasks below `limit` be taken.
  void release(std::size_t limit) {
    queue_.release(limit);
    if (!reads_) published_.set_total(limit);
  }
  /// When this many more tasks are finished, the owner is wanted (it reads input).
  void call_owner_after(std::size_t tasks);
  void stop() { stop_.stop(); }
  /// Ends the loop with Interrupted, whose text begins with `why`. From any thread that keeps it
  /// and its session alive.
  void interrupt(const char* why = "the loop was interrupted");
  /// The first failure, where failures stop the loop; or TimedOut.
  LoopFailure failure() { return stop_.failure(); }
  Outcomes& outcomes() noexcept { return outcomes_; }
  /// About how many tasks make a batch now.
  std::size_t batch_hint() const noexcept { return sizer_.hint(); }
  /// About how long a task takes now; 0 if that isn't known.
  double task_seconds() const noexcept { return sizer_.task_seconds(); }
  /// The next completed task, in the order that was asked for; forgets it.
  std::optional<std::size_t> pop_completed();

 private:
  class Run;

  void run_in_scope(TaskRange tasks, Worker& worker);
  void trace_taken(TaskRange tasks, const Worker& worker);
  /// Settles `tasks` of which `done` have succeeded.
  void settle(std::size_t tasks, std::size_t done);
  /// Records a task that is done.
  void complete(std::size_t task, double seconds) {
    // What ends when the loop is over doesn't count: it may have been cut short by
    // stop_requested().
    if (outcomes_.wants_completed() && !stopping()) outcomes_.complete(task, seconds);
  }
  /// Records the failure of a task that ran elsewhere.
  void record_remote_failure(std::size_t task, Worker& worker, std::exception_ptr error,
                             Clock::time_point began, double seconds);
  /// True where the failure was dealt with and the loop goes on.
  bool record_failure(std::size_t task, std::exception_ptr error, double seconds);
  std::exception_ptr interrupted(const char* why) const;

  const Settings& settings_;
  LoopTasks& tasks_;
  const bool reads_;
  Trace* const trace_;
  Session* session_ = nullptr;

  TaskQueue queue_;
  BatchSizer sizer_;
  Outcomes outcomes_;
  StopControl stop_;
  WorkerStates worker_states_;
  status::PublishedLoop published_;
  OwnerEvents events_;
  std::atomic<std::size_t> call_owner_at_{unread};  // a number of finished tasks
  std::atomic<unsigned> divisible_{0};              // batches of several tasks that run here
};

}  // namespace hoist::detail::parallel
