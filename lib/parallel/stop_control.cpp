// SPDX-License-Identifier: BSD-3-Clause
#include "parallel/stop_control.hpp"

#include <hoist/error.hpp>

#include <algorithm>
#include <string>
#include <utility>

#include "base/seconds_text.hpp"

namespace hoist::detail::parallel {

namespace {

Clock::duration to_duration(const TimeLimit& limit) {
  return std::chrono::duration_cast<Clock::duration>(
      std::chrono::duration<double>(limit.seconds()));
}

}  // namespace

StopControl::StopControl(const Settings& settings, Outcomes& outcomes)
    : settings_(settings), outcomes_(outcomes), flag_(*settings.inner.stop) {}

void StopControl::stop() {
  flag_.set.store(true);
  attention_.store(true);
}

void StopControl::fail(LoopFailure failure) {
  const std::lock_guard lock(mutex_);
  fail_locked(std::move(failure));
}

void StopControl::fail_locked(LoopFailure failure) {
  if (!failure_.error) failure_ = std::move(failure);
  stop();
}

LoopFailure StopControl::failure() {
  const std::lock_guard lock(mutex_);
  return failure_;
}

void StopControl::resume_batches() {
  attention_.store(false);
  // stop() may have set it in between.
  if (stopping()) attention_.store(true);
}

void StopControl::set_deadline(Clock::time_point deadline) {
  deadline_ = deadline;
  flag_.deadline = deadline;
}

bool StopControl::check_all() {
  const bool deadline_passed = check_deadline();
  return check_outer_loops() || deadline_passed || check_overdue();
}

bool StopControl::check_outer_loops() {
  if (stopping() || flag_.outer == nullptr || !flag_.outer->requested()) return false;
  fail({std::make_exception_ptr(Interrupted("the loop around this one was stopped"))});
  return true;
}

bool StopControl::check_deadline() {
  if (!deadline_ || Clock::now() < *deadline_) return false;
  const std::lock_guard lock(mutex_);
  if (stopping()) return false;
  fail_locked({.error = std::make_exception_ptr(
                   TimedOut("the loop was not done within its timeout of " +
                            base::seconds_text(settings_.options.timeout.seconds()))),
               .timed_out = true});
  return true;
}

/// Threads can't be ended, but what comes after them can be spared: where a task's failure is the
/// loop's, the loop ends when the time of the task is over, not when the task is.
bool StopControl::check_overdue() {
  if (!oversees_tasks() || !outcomes_.failure_is_fatal()) return false;
  const Clock::time_point now = Clock::now();
  bool failed = false;
  const std::lock_guard lock(mutex_);
  for (Overseen* batch : overseen_) {
    const std::size_t task = batch->clock_.task.load();
    if (batch->reported_ == task || now < batch->clock_.overdue_at()) continue;
    batch->reported_ = task;
    if (outcomes_.has_retries_left(task)) continue;
    fail_locked(
        {std::make_exception_ptr(TimedOut(
             "task " + std::to_string(task) + " was still running after its task_timeout of " +
             base::seconds_text(settings_.options.task_timeout.seconds()))),
         task});
    failed = true;
  }
  return failed;
}

Clock::time_point StopControl::next_overdue() {
  if (!oversees_tasks() || stopping()) return Clock::time_point::max();
  // Tasks that are yet to begin can't be overdue before one that begins now.
  Clock::time_point next = Clock::now() + to_duration(settings_.options.task_timeout);
  const std::lock_guard lock(mutex_);
  for (const Overseen* batch : overseen_) {
    if (batch->reported_ != batch->clock_.task.load()) {
      next = std::min(next, batch->clock_.overdue_at());
    }
  }
  return next;
}

StopControl::Overseen::Overseen(StopControl& control, const TaskClock& clock)
    : control_(control), clock_(clock), reported_(unread) {
  const std::lock_guard lock(control_.mutex_);
  control_.overseen_.push_back(this);
}

StopControl::Overseen::~Overseen() {
  const std::lock_guard lock(control_.mutex_);
  std::erase(control_.overseen_, this);
}

}  // namespace hoist::detail::parallel
