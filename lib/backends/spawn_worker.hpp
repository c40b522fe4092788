// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/backend.hpp>
#include <hoist/parallel_options.hpp>

#include <cstddef>
#include <memory>
#include <span>

#include "backends/in_flight.hpp"
#include "backends/lost_hosts.hpp"
#include "backends/variable_check.hpp"
#include "os/working_place.hpp"
#include "workers/loop_segments.hpp"
#include "workers/worker_process.hpp"

namespace hoist::detail::backends {

/// One worker's part of a loop: sends it tasks, and settles what comes back. When its process dies
/// it can go on with another.
class SpawnWorker {
 public:
  SpawnWorker(Loop& loop, workers::LoopSegments& segments, VariableCheck& variables,
              LostHosts& lost_hosts, const os::WorkingPlace& place, unsigned number,
              std::size_t bell);

  bool has_process() const { return process_ != nullptr; }
  const std::shared_ptr<workers::WorkerProcess>& process() const { return process_; }
  void set_process(std::shared_ptr<workers::WorkerProcess> process);
  /// Whether its last process was on a machine that was lost.
  bool is_orphan() const { return is_orphan_; }
  /// Gives up the process, telling it to forget this loop.
  std::shared_ptr<workers::WorkerProcess> release();

  /// Whether there is something to receive, or the process has ended.
  bool has_news() const { return process_ && (process_->has_input() || process_->dead()); }
  /// Handles the next frame. Returns whether there was one. Only one, since to look for a second
  /// takes as long as to send the worker its next task.
  bool receive();
  /// Where the process has ended: fails the task that it ran, and gives the others back. Returns
  /// whether it has.
  bool handle_exit();
  /// Fetches tasks while it has less than it needs, and sends as much as there is room for.
  bool feed();
  /// Wakes the process after receive(), where feed() didn't.
  void ring();
  /// Whether its tasks take no longer than it would take to wake this process.
  bool answers_soon() const;
  /// Ends its process if that is the task it runs; returns whether it is.
  bool end_task(std::size_t task);
  bool has(std::size_t task) const {
    return in_flight_.has(task) || (unsent_.first <= task && task < unsent_.last);
  }
  /// Whether it has tasks that could not be sent yet.
  bool is_blocked() const { return unsent_.size() > 0; }
  bool busy() const { return in_flight_.size() + unsent_.size() > 0; }
  /// When its other tasks are to be taken back, as the one that it runs takes much longer than
  /// those before it; max() where there are none.
  ipc::Clock::time_point overdue_at() const;
  /// Takes back the tasks that it has not begun. False where there are none, or it can't be done.
  bool take_back();
  /// Gives back the tasks that were not sent.
  void drop_unsent();

  /// When to look whether a task has run too long.
  ipc::Clock::time_point deadline() const;
  /// Kills the process if its task has.
  void check_deadline();

 private:
  void send_context();
  void send_place();
  bool is_initializing() const;
  bool is_far() const { return !process_->machine().empty(); }
  bool wants_tasks() const;
  void note_pace(std::span<const std::byte> results);
  bool send_tasks();
  bool send_frame();
  void append(LoopTasks& tasks, std::size_t task);
  std::uint32_t open_callable(OpenCallable open);
  void take_frame(ipc::Kind kind, std::span<const std::byte> content);
  void take_back_behind(std::uint64_t begun);
  void take_left(std::span<const std::byte> content);
  void kill_in_task(std::uint64_t number);
  bool was_killed_too_late() const;
  std::exception_ptr death(std::size_t task, bool ran) const;

  Loop& loop_;
  workers::LoopSegments& segments_;
  VariableCheck& variables_;
  LostHosts& lost_hosts_;
  const os::WorkingPlace& place_;
  Worker info_;
  std::size_t bell_;
  std::size_t share_results_from_;
  const TimeLimit& task_timeout_;
  std::shared_ptr<workers::WorkerProcess> process_;
  TaskRange unsent_;
  unsigned unsent_attempt_ = 1;
  InFlight in_flight_;
  std::size_t last_batch_ = 1;
  double pace_ = -1;  // seconds for a task, where it is far; negative: not known
  std::uint32_t callable_ = 0;
  bool is_orphan_ = false;
  bool timed_out_ = false;
  std::uint64_t killed_in_ = 0;  // the number of the task that it was to be killed in
  bool leaving_ = false;
  ipc::Clock::time_point not_before_{};  // when to try take_back() again
  bool taken_back_ = false;              // it has not come to the end of what was taken back
  std::size_t known_results_ = 0;  // of its next frame of results, those that are settled already
  bool rings_ = false;             // ring() is to wake the process: once, since that takes a fence
  unsigned idle_deaths_ = 0;
  Encoder encoder_;
  ipc::FieldWriter frame_;
  ipc::FieldWriter payload_;
};

}  // namespace hoist::detail::backends
