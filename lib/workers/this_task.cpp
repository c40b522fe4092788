// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/error.hpp>
#include <hoist/this_task.hpp>

namespace hoist {

TaskInfo*& detail::task_here() noexcept {
  thread_local TaskInfo* task = nullptr;
  return task;
}

TaskInfo this_task() {
  if (const TaskInfo* const task = detail::task_here()) return *task;
  throw BadArgument(
      "this_task: the calling thread runs no task of a loop (in_task() is false); threads that a "
      "task starts run none either, so pass them what the task knows");
}

bool in_task() noexcept { return detail::task_here() != nullptr; }

}  // namespace hoist
