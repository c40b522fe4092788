// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "workers/worker_process.hpp"

namespace hoist::detail::backends {

/// Notices functions of a loop that read variables whose value in this process is not the workers':
/// those start anew and see none of what this process does. Says so on stderr, once per variable.
class VariableCheck {
 public:
  /// A function that tasks of the loop call; null is none.
  void note(const void* function) {
    if (function != last_ && function != nullptr) add(function);
  }
  /// Whether there are functions that no worker was asked about.
  bool is_due() const { return asked_ < functions_.size(); }
  /// Asks a worker whether the variables that these functions read hold the same there. Cost: the
  /// first time in this process, a walk of the function's code (milliseconds).
  void ask(workers::WorkerProcess& worker);
  /// The worker that has not answered yet, or null.
  const workers::WorkerProcess* asked() const { return worker_; }
  void take_answer(std::span<const std::byte> content);

 private:
  void add(const void* function);

  const void* last_ = nullptr;
  std::vector<const void*> functions_;
  std::size_t asked_ = 0;  // so many of them
  const workers::WorkerProcess* worker_ = nullptr;
};

}  // namespace hoist::detail::backends
