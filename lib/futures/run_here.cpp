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
  if (loop_ != nullptr) loop_->change_blocked(1);
}
BlockedTask::~BlockedTask() {
  if (loop_ != nullptr) loop_->change_blocked(-1);
}

void ExecutorLoop::change_blocked(int change) {
  const std::lock_guard lock(lend_mutex_);
  blocked_ += static_cast<unsigned>(change);
  if (change > 0) may_lend_.notify_all();
}

bool ExecutorLoop::is_over() {
  if (loop_.stopping()) return true;
  if (!loop_.idle()) return false;
  // After that: a call that was lent no longer counts in the loop.
  const std::lock_guard lock(lend_mutex_);
  return lent_ == 0;
}

bool ExecutorLoop::may_run_here() const {
  if (!works_alone() || current_loop == nullptr) return false;
  if (current_loop == this) return true;
  // In the place of a task that waits; but not with another loop's state of workers.
  return !settings_.options.workers.initializer && blocked_ > lent_;
}

bool ExecutorLoop::run_here(FutureState& future) {
  {
    const std::lock_guard lock(lend_mutex_);
    if (!may_run_here() || !future.claim(Status::lent)) return false;
    ++lent_;
  }
  {
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
  {
    const std::lock_guard lock(lend_mutex_);
    --lent_;
    may_lend_.notify_all();
  }
  loop_.signal();
  return true;
}

bool ExecutorLoop::run_or_wait(FutureState& future) {
  /// Wakes the thread when the future is done.
  struct Wake final : Continuation {
    explicit Wake(ExecutorLoop& its) : loop(its) {}
    void completed() noexcept override {
      const std::lock_guard lock(loop.lend_mutex_);
      done = true;
      loop.may_lend_.notify_all();
    }
    ExecutorLoop& loop;
    bool done = false;
  };
  while (!run_here(future)) {
    Wake wake(*this);
    if (!future.add(wake, false)) break;
    bool done = false;
    {
      std::unique_lock lock(lend_mutex_);
      may_lend_.wait(lock, [&] {
        return wake.done || (future.status() == Status::pending && may_run_here());
      });
      done = wake.done;
    }
    if (done) break;
    if (!future.remove(wake)) {
      // It is being told.
      std::unique_lock lock(lend_mutex_);
      may_lend_.wait(lock, [&] { return wake.done; });
      break;
    }
  }
  return true;
}

}  // namespace hoist::detail::futures
