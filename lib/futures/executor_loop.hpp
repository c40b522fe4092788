// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/future_state.hpp>
#include <hoist/detail/submission.hpp>
#include <hoist/parallel_options.hpp>

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

#include "futures/submitted_tasks.hpp"
#include "os/process_id.hpp"
#include "parallel/loop_state.hpp"
#include "parallel/settings.hpp"

namespace hoist::detail::futures {

using Status = FutureState::Status;

/// A loop that stays open: its input is what is submitted to an executor, and each task completes
/// a future.
///
/// Backends whose workers don't report by themselves need a thread that moves the loop along, as
/// the owner of any loop does. Here that is one thread at a time, the leader: the one that submits,
/// for a moment; the one that waits for a future, until that is done; and otherwise a thread in the
/// background. So a call and its result take no more threads than a loop does. Thread-safe.
class ExecutorLoop : public std::enable_shared_from_this<ExecutorLoop> {
 public:
  /// Throws BadArgument as a loop does. Starts no workers yet.
  ExecutorLoop(const ParallelOptions& options, bool kill_on_cancel, bool ends_with_program);
  ExecutorLoop(const ExecutorLoop&) = delete;
  ExecutorLoop& operator=(const ExecutorLoop&) = delete;
  ~ExecutorLoop();

  const parallel::Settings& settings() const noexcept { return settings_; }
  /// Workers report by themselves: nobody has to lead.
  bool works_alone() const noexcept { return settings_.traits.works_alone; }
  /// What the end of the program does to calls that are left: it kills them, or waits for them.
  bool ends_with_program() const noexcept { return ends_with_program_; }
  bool forks() const noexcept { return settings_.traits.inherits_tasks; }
  /// Whether this process is the one that made it, and not a forked child of that.
  bool is_here() const noexcept { return os::own_process() == process_; }

  /// Takes a call, with a reference to its future. False after close().
  bool submit(Submission& call);
  bool is_closed() const noexcept { return closed_.load(); }
  /// Whether this thread runs one of its calls.
  bool runs_here() const noexcept;
  /// Waits for a future of this loop, and helps. False at the deadline.
  bool await(FutureState& future, Deadline deadline);
  /// Waits until ready(), which futures of this loop alone make true, and helps.
  bool await(const std::function<bool()>& ready, Deadline deadline);
  /// Runs the call in this thread, if that is part of a task and would only wait for it.
  bool run_here(FutureState& future);
  /// Kills the worker of a call, where that was asked for and can be done, and cancels the call.
  bool end(FutureState& future);
  /// From now on somebody counts on the background: it leads at once, and until all is done.
  void lead_in_background();
  /// Something that a thread in await() looks at has changed.
  void wake_waiters();

  /// Takes no more calls. `cancel`: those that haven't begun are cancelled.
  void close(bool cancel);
  /// Takes no more calls, waits until all are over, and ends the workers' part in it.
  void finish();
  /// The same, without waiting.
  void retire();
  /// Ends all calls for this reason; those that run as far as they can be killed, else it waits for
  /// them.
  void kill(const std::exception_ptr& reason);

 private:
  friend class BlockedTask;
  using Ready = std::function<bool()>;

  bool is_over();
  void open();
  void start_thread(std::function<void()> body);
  void kick(std::size_t submitted, bool was_empty);
  /// Waits for the lead. False at the deadline, or once ready() holds.
  bool take_lead(std::unique_lock<std::mutex>& lock, const Ready& ready, Deadline deadline);
  /// Has whoever leads make room, and goes before those who wait. False once ready() holds.
  bool demand_lead(std::unique_lock<std::mutex>& lock, const Ready& ready);
  void interrupt_leader();
  void give_up_lead();
  /// Moves the loop along until ready() holds or the deadline passes. For the leader.
  void lead(const Ready& ready, Deadline deadline);
  void drain();
  // For the leader, which is none afterwards.
  void end_session(std::unique_lock<std::mutex>& lock);
  void release_workers(std::unique_lock<std::mutex>& lock);
  template <class Work>
  void step(const Work& work);
  void fail_all(const std::exception_ptr& error);
  void abandon(bool running, const std::exception_ptr& reason);
  void run_background();
  /// With the lock of lending.
  bool may_run_here() const;
  bool run_or_wait(FutureState& future);
  void change_blocked(int change);

  const os::ProcessId process_ = os::own_process();
  const bool kill_on_cancel_;
  const bool ends_with_program_;
  parallel::Settings settings_;
  SubmittedTasks tasks_;
  parallel::LoopState loop_;
  std::unique_ptr<Session> session_;

  std::mutex open_mutex_;
  std::atomic<bool> opened_{false};
  std::atomic<bool> closed_{false};

  std::mutex lead_mutex_;
  std::condition_variable lead_changed_;
  std::condition_variable background_;
  std::thread::id leader_;  // none: nobody leads
  bool background_leads_ = false;
  std::size_t announced_ = 0;         // tasks that the session knows of; the leader's
  std::atomic<unsigned> waiting_{0};  // threads that wait for the lead, or for what the leader does
  std::atomic<unsigned> demands_{0};  // threads that take the lead from others
  std::atomic<bool> urgent_{false};   // somebody counts on the background
  std::atomic<bool> resting_{false};  // the background sleeps until something is submitted
  std::atomic<bool> ended_{false};    // the session
  std::atomic<bool> stopped_{false};  // it has ended: its workers are given back

  std::mutex lend_mutex_;
  std::condition_variable may_lend_;  // or what a thread waits for that would run a call is done
  unsigned blocked_ = 0;              // tasks of this loop that wait for futures
  unsigned lent_ = 0;                 // calls that run where they were waited for
};

/// The loop whose task this thread runs; for a scope.
class CurrentLoop {
 public:
  explicit CurrentLoop(ExecutorLoop* loop) noexcept;
  ~CurrentLoop();
  CurrentLoop(const CurrentLoop&) = delete;
  CurrentLoop& operator=(const CurrentLoop&) = delete;

 private:
  ExecutorLoop* before_;
};

/// Whether this thread runs a task of an executor.
bool in_task() noexcept;

/// A task of an executor waits for a future, for a scope: its place is free for another call.
class BlockedTask {
 public:
  BlockedTask() noexcept;
  ~BlockedTask();
  BlockedTask(const BlockedTask&) = delete;
  BlockedTask& operator=(const BlockedTask&) = delete;

 private:
  ExecutorLoop* loop_;
};

}  // namespace hoist::detail::futures
