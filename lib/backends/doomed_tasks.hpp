// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/backend.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <vector>

namespace hoist::detail::backends {

/// Tasks that nobody wants any more, and whose workers are to be killed when they run them. One
/// that was given to a worker may not have begun, and the worker tells nobody when it begins.
class DoomedTasks {
 public:
  void add(std::size_t task) { tasks_.push_back(task); }
  /// When to look again.
  Clock::time_point next_look() const {
    return tasks_.empty() ? Clock::time_point::max() : Clock::now() + std::chrono::milliseconds(1);
  }
  /// Kills workers that run one, and forgets those that no worker has.
  template <class Workers>
  void kill(Workers& workers) {
    std::erase_if(tasks_, [&](std::size_t task) {
      for (auto& worker : workers) {
        if (worker->end_task(task)) return true;
        if (worker->has(task)) return false;
      }
      return true;
    });
  }

 private:
  std::vector<std::size_t> tasks_;
};

}  // namespace hoist::detail::backends
