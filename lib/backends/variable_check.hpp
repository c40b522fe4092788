// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "workers/worker_process.hpp"

namespace hoist::detail::backends {

/// Notices functions of a loop that read variables whose values differ between this process and its
/// workers, which are new processes and don't see what this one has assigned. Says so on stderr,
/// once per variable.
class VariableCheck {
 public:
  /// A function that tasks of the loop call; null is none.
  void note(const void* function) {
    if (function != last_ && function != nullptr) add(function);
  }
  /// Whether there is a question, and no answer to wait for.
  bool is_due() const { return awaited_ == nullptr && asked_ < functions_.size(); }
  /// Asks a worker whether the variables that one of these functions reads hold the same there.
  /// Cost: the first time in this process, a walk of the function's code (a few ms; 50 ms for each
  /// MiB that it reaches), during which the loop's owner does nothing else.
  void ask(workers::WorkerProcess& worker);
  /// The worker that has not answered yet, or null.
  const workers::WorkerProcess* awaited() const { return awaited_; }
  void take_answer(std::span<const std::byte> content);
  /// A worker is gone: another one is asked what it has not answered.
  void forget(const workers::WorkerProcess& worker);

 private:
  struct Variable {
    std::uint64_t address = 0;
    std::string name;
  };

  void add(const void* function);

  const void* last_ = nullptr;
  std::vector<const void*> functions_;
  std::size_t asked_ = 0;            // the first so many of functions_
  std::uint32_t question_ = 0;       // its number: answers to earlier loops' may come late
  std::vector<Variable> variables_;  // that it is about
  const workers::WorkerProcess* awaited_ = nullptr;
};

}  // namespace hoist::detail::backends
