// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/backend.hpp>
#include <hoist/outcome.hpp>
#include <hoist/parallel_options.hpp>

#include <cstddef>
#include <exception>
#include <limits>
#include <memory>
#include <vector>

namespace hoist::detail {

/// In which way results reach the caller.
enum class Deliver : unsigned char {
  all,           ///< when the loop is over
  outcomes,      ///< likewise, with an account of each task; no failure is thrown
  in_order,      ///< one by one, in the order of tasks
  as_completed,  ///< one by one, as they come
};

/// Count of a loop whose input is read as it goes.
inline constexpr std::size_t unread = std::numeric_limits<std::size_t>::max();

struct TaskAccount {
  unsigned attempts = 0;
  double seconds = 0;
  std::exception_ptr error;
  bool done = false;
};

/// One loop from start to end: the compiled part of Parallel. Used by one thread at a time; nothing
/// of the loop runs any more when it is destroyed.
class LoopDriver {
 public:
  /// Chooses and checks backend and settings, and starts the loop (but reads no input, and runs
  /// nothing in this thread). Throws BadArgument.
  LoopDriver(const ParallelOptions& options, LoopTasks& tasks, std::size_t count, Deliver deliver);
  ~LoopDriver();
  LoopDriver(const LoopDriver&) = delete;
  LoopDriver& operator=(const LoopDriver&) = delete;

  /// Runs the loop to its end. Throws what the first failed task threw (OnError::raise and
  /// Deliver::all), what the input threw, or TimedOut.
  void run();
  /// Reads and starts what may be; for a generator's beginning.
  void start();
  /// Waits for the next result, and says whose it is; false at the end. Throws as run() does.
  bool next(std::size_t& task);

  std::size_t tasks() const;
  TaskAccount account(std::size_t task) const;
  /// In the order of tasks.
  std::vector<TaskFailure> failures() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace hoist::detail
