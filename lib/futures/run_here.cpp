// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/this_task.hpp>

#include <utility>

#include "futures/executor_loop.hpp"

// Tasks that wait for other tasks: what is waited for and hasn't begun is run by the waiting
// thread. So workers that all wait are no deadlock.

namespace hoist::detail::futures {

namespace {

thread_local ExecutorLoop* current_loop = nullptr;

}  // namespace

CurrentLoop::CurrentLoop(ExecutorLoop* loop) noexcept
    : before_(std::exchange(current_loop, loop)) {}
CurrentLoop::~CurrentLoop() { current_loop = before_; }

bool ExecutorLoop::runs_here() const noexcept { return current_loop == this; }

bool in_task() noexcept { return current_loop != nullptr; }

BlockedTask::BlockedTask() noexcept : loop_(current_loop) {
  if (loop_ != nullptr) loop_->blocked_.fetch_add(1);
}
BlockedTask::~BlockedTask() {
  if (loop_ != nullptr) loop_->blocked_.fetch_sub(1);
}

bool ExecutorLoop::may_run_here() const {
  if (!works_alone()) return false;
  if (current_loop == this) return true;
  // In the place of a task that waits; but not with another loop's state of workers.
  return current_loop != nullptr && !settings_.options.workers.initializer &&
         blocked_.load() > lent_.load();
}

bool ExecutorLoop::run_here(FutureState& future) {
  if (!may_run_here()) return false;
  // Before it is claimed: who sees that must not take the loop for idle.
  lent_.fetch_add(1);
  const bool lent = future.claim(Status::lent);
  if (lent) {
    const parallel::ContextScope scope(settings_.inner);
    const CurrentLoop current(this);
    auto& call = dynamic_cast<Submission&>(future);
    TaskInfo info{call.task, 1, this_task().worker};
    const TaskScope task_scope(&info);
    std::exception_ptr error;
    for (unsigned retries = settings_.options.retries;; --retries) {
      try {
        const Clock::time_point began = Clock::now();
        call.run(retries > 0);
        parallel::check_task_time(call.task, began, settings_.options.task_timeout);
        error = nullptr;
        break;
      } catch (...) {
        error = std::current_exception();
      }
      if (retries == 0) break;
      ++info.attempt;
    }
    call.drop_call();
    future.set_error(error);
    future.complete(error ? Status::failed : Status::done);
  }
  lent_.fetch_sub(1);
  loop_.signal();
  return lent;
}

}  // namespace hoist::detail::futures
