// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/requirements.hpp>

#include <cstddef>

namespace hoist {

/// Which task of a loop is running.
struct TaskInfo {
  /// Its index in the loop's input. In Parallel::reduce that of the element.
  std::size_t index = 0;
  /// 1 for the first attempt, more where the task has failed and is tried again (`retries`).
  unsigned attempt = 1;
  /// The number of its worker. Tasks that run at the same time have different ones, so it can
  /// select scratch memory: numbers are from 0 to n_jobs, which is one more than there are workers,
  /// because a thread that consumes results or reads input may run tasks beside them.
  unsigned worker = 0;
};

/// The task that the calling thread runs, on every backend; in nested loops that of the innermost.
/// Throws BadArgument outside of tasks: in_task() tells. Threads that a task starts are outside.
/// Takes a nanosecond.
[[nodiscard]] TaskInfo this_task();

/// True if the calling thread runs a task of a loop.
[[nodiscard]] bool in_task() noexcept;

namespace detail {
/// What this_task() tells in the calling thread; null outside of tasks. Who runs tasks sets it.
TaskInfo*& task_here() noexcept;

/// Makes `task` that of the calling thread until the end of the scope.
class TaskScope {
 public:
  explicit TaskScope(TaskInfo* task) noexcept : before_(task_here()) { task_here() = task; }
  ~TaskScope() { task_here() = before_; }
  TaskScope(const TaskScope&) = delete;
  TaskScope& operator=(const TaskScope&) = delete;

 private:
  TaskInfo* const before_;
};
}  // namespace detail

}  // namespace hoist
