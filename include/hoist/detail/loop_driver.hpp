// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/backend.hpp>
#include <hoist/detail/deadline.hpp>
#include <hoist/error.hpp>
#include <hoist/parallel_options.hpp>

#include <cstddef>
#include <exception>
#include <limits>
#include <memory>

namespace hoist::detail {

/// How results reach the caller.
enum class Deliver : unsigned char {
  all,           ///< when the loop is over
  outcomes,      ///< likewise, with a TaskAccount of each task; no failure is thrown
  in_order,      ///< one by one, in the order of the input
  as_completed,  ///< one by one, in the order of completion
  futures,       ///< by the tasks themselves; the loop stays open
};

/// The count of a loop whose input is read lazily.
inline constexpr std::size_t unread = std::numeric_limits<std::size_t>::max();

struct TaskAccount {
  unsigned attempts = 0;
  double seconds = 0;
  std::exception_ptr error;
  bool done = false;
};

/// One loop from start to end: the compiled part of Parallel. Used by one thread at a time. When it
/// is destroyed, nothing of the loop is running.
class LoopDriver {
 public:
  /// Chooses and checks backend and settings, and starts the loop, but reads no input and runs no
  /// task in this thread. Throws BadArgument.
  LoopDriver(const ParallelOptions& options, LoopTasks& tasks, std::size_t count, Deliver deliver);
  ~LoopDriver();
  LoopDriver(const LoopDriver&) = delete;
  LoopDriver& operator=(const LoopDriver&) = delete;

  /// Runs the loop to its end. Throws the first failed task's exception (OnError::raise and
  /// Deliver::all), or an exception of the input. False if it ends with an error that has the
  /// results of those tasks that are done: the caller passes them to fail().
  [[nodiscard]] bool run();
  /// Throws that error.
  [[noreturn]] void fail(CarriedResults results);
  /// Reads the first part of the input and starts its tasks; for generators.
  void start();
  /// Waits for the next result and sets `task` to its index. Returns false at the end. Throws as
  /// run() does, LoopErrors at the end, and TimedOut; at this deadline, too, after which the loop
  /// goes on.
  bool next(std::size_t& task, Deadline deadline);

  std::size_t tasks() const;
  /// With Deliver::all only whether it is done, and only after run() has returned false.
  TaskAccount account(std::size_t task) const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace hoist::detail
