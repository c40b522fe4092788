// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/backend.hpp>
#include <hoist/detail/loop_driver.hpp>

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <vector>

#include "parallel/settings.hpp"
#include "parallel/trace.hpp"

namespace hoist::detail::parallel {

/// The state of a running loop: which tasks are to be had, are out, are done or have failed.
///
/// Tasks below `next_` have been taken, those below `limit_` may be. `outstanding_` counts the tasks
/// that are taken and not settled (done, failed for good, or back in `returned_`). What every task
/// passes is atomic; the rest is behind the mutex.
class LoopState final : public Loop {
 public:
  LoopState(const Settings& settings, LoopTasks& tasks, Deliver deliver, bool reads, Trace* trace);

  const ParallelOptions& options() const noexcept override { return settings_.options; }
  unsigned n_jobs() const noexcept override { return settings_.n_jobs; }
  LoopTasks& tasks() noexcept override { return tasks_; }
  std::size_t known() const noexcept override { return limit_.load(); }
  bool stopping() const noexcept override { return stop_.set.load(std::memory_order_relaxed); }
  bool owner_is_busy() const noexcept override {
    return reads_ || deliver_ == Deliver::in_order || deliver_ == Deliver::as_completed;
  }
  bool times_tasks() const noexcept override { return settings_.batch == 0 || watches_tasks(); }
  bool watches_tasks() const noexcept override {
    return tracked() || trace_ != nullptr || settings_.options.task_timeout.is_set() || deadline_;
  }
  bool available() const noexcept override {
    return next_.load() < limit_.load() || has_returned_.load();
  }
  bool idle() override;
  bool take(TaskRange& tasks, Worker& worker) override;
  void give_back(TaskRange tasks) override;
  void hungry() override;
  void enter_tasks() override;
  void encode_context(Encoder& to) const override;
  void run(TaskRange tasks, Worker& worker) override;
  void arrived(TaskRange tasks, Worker& worker, TaskResults& results, Clock::time_point began,
               double seconds) override;
  void failed(std::size_t task, Worker& worker, std::exception_ptr error, Clock::time_point began,
              double seconds) override;
  unsigned epoch() const noexcept override { return epoch_.load(); }
  void wait(unsigned seen, Clock::time_point deadline) override;
  void signal() override;

  // --- For the driver, which owns the loop. ---

  void set_session(Session* session) { session_ = session; }
  void set_deadline(Clock::time_point deadline) {
    deadline_ = deadline;
    stop_.deadline = deadline;
  }
  /// Looks whether time limits have passed that nobody else looks at.
  void check_times();
  /// When to do so next on account of tasks' limits.
  Clock::time_point next_overdue();
  /// Lets tasks below `limit` be taken.
  void release(std::size_t limit) { limit_.store(limit); }
  /// When this many more tasks are finished, the owner is wanted (it reads input).
  void call_owner_after(std::size_t tasks);
  void stop();
  /// Ends the loop with Interrupted. From any thread that keeps it and its session alive.
  void interrupt();
  /// Tasks done, and failed for good.
  std::size_t done() const noexcept { return done_.load(); }
  std::size_t lost() const noexcept { return lost_.load(); }
  std::size_t finished() const noexcept { return done() + lost(); }
  /// About how many tasks make a batch now.
  std::size_t batch_hint() const noexcept { return batch_hint_.load(std::memory_order_relaxed); }
  /// The first failure, where failures stop the loop; or TimedOut.
  std::exception_ptr error();
  std::vector<TaskFailure> failures();
  TaskAccount account(std::size_t task);
  /// The next completed task, in the order that was asked for; forgets it.
  std::optional<std::size_t> pop_completed();

 private:
  class Run;

  bool tracked() const { return deliver_ != Deliver::all; }
  bool take_returned(TaskRange& tasks, const Worker& worker);
  void note_taken(TaskRange tasks, const Worker& worker);
  std::size_t share(const Worker& worker, std::size_t left) const;
  void adapt(Worker& worker, std::size_t tasks, double seconds);
  /// Settles `tasks` of which `done` have succeeded.
  void settle(std::size_t tasks, std::size_t done);
  void completed(std::size_t task, double seconds);
  /// Records the failure of a task that ran elsewhere.
  void lose(std::size_t task, Worker& worker, std::exception_ptr error, Clock::time_point began,
            double seconds);
  /// True where the failure was dealt with and the loop goes on.
  bool record_failure(std::size_t task, std::exception_ptr error, double seconds);
  /// Of the loop, and of the loops around it.
  void check_stops();
  void check_deadline();
  void check_overdue();
  void end_with(std::exception_ptr error);

  const Settings& settings_;
  LoopTasks& tasks_;
  const Deliver deliver_;
  const bool reads_;
  Trace* const trace_;
  StopFlag& stop_;
  Session* session_ = nullptr;
  std::optional<Clock::time_point> deadline_;

  std::atomic<std::size_t> next_{0};
  std::atomic<std::size_t> limit_{0};
  std::atomic<bool> has_returned_{false};
  std::atomic<bool> attention_{false};
  alignas(64) std::atomic<std::size_t> outstanding_{0};
  std::atomic<std::size_t> done_{0};
  std::atomic<std::size_t> lost_{0};
  std::atomic<std::size_t> call_at_{unread};
  std::atomic<std::size_t> batch_hint_{1};
  std::atomic<unsigned> divisible_{0};  // batches of several tasks that run here

  std::atomic<unsigned> epoch_{0};
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<TaskRange> returned_;
  std::exception_ptr error_;
  std::map<std::size_t, TaskFailure> failures_;
  std::unordered_map<std::size_t, unsigned> attempts_;  // of tasks that failed before
  std::unordered_map<std::size_t, TaskAccount> accounts_;
  std::deque<std::size_t> completed_;
  std::vector<Run*> overseen_;  // those at work, where their tasks' time is limited here
  std::size_t next_in_order_ = 0;
};

}  // namespace hoist::detail::parallel
