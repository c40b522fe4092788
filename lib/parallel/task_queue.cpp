// SPDX-License-Identifier: BSD-3-Clause
#include "parallel/task_queue.hpp"

namespace hoist::detail::parallel {

bool TaskQueue::idle() {
  if (outstanding_.load() != 0 || next_.load() != limit_.load()) return false;
  const std::lock_guard lock(mutex_);
  // In this order: tasks are counted as outstanding before they are taken, and as returned before
  // they cease to be outstanding.
  return next_.load() == limit_.load() && outstanding_.load() == 0 && returned_.empty();
}

void TaskQueue::give_back(TaskRange tasks) {
  const std::lock_guard lock(mutex_);
  returned_.push_back(tasks);
  has_returned_.store(true);
  outstanding_.fetch_sub(tasks.size());
}

void TaskQueue::retry(std::size_t task) {
  const std::lock_guard lock(mutex_);
  returned_.push_back({task, task + 1});
  has_returned_.store(true);
}

}  // namespace hoist::detail::parallel
