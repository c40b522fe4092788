// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/requirements.hpp>

#include <hoist/this_task.hpp>

#include <atomic>
#include <cstddef>
#include <exception>
#include <memory>

// The tasks of a loop as backends see them (hoist/backend.hpp), which are independent of the types
// of functions, arguments and results.

namespace hoist {

namespace detail {
class Encoder;
class Decoder;
class Reply;
/// Runs one portable call in another process.
using RunCall = void (*)(void* callable, Decoder& from, Reply& reply);
/// Decodes a callable that all tasks of a loop share.
using OpenCallable = std::shared_ptr<void> (*)(Decoder& from);
}  // namespace detail

/// The tasks first, first + 1, ..., last - 1 of a loop.
struct TaskRange {
  std::size_t first = 0;
  std::size_t last = 0;
  std::size_t size() const noexcept { return last - first; }
};

/// The code that a worker in another process needs to run a task. `open` is null if the callable is
/// sent with every task; otherwise it is sent once (`LoopTasks::encode_callable`).
struct PortableCode {
  detail::RunCall run = nullptr;
  detail::OpenCallable open = nullptr;
  const void* called = nullptr;  ///< the call operator that `run` calls, where the type tells
};

/// Receives the events of tasks that run in this process.
class TaskRun {
 public:
  virtual ~TaskRun();
  /// Called before and after each task if `each` is set.
  virtual void begin(std::size_t task) = 0;
  virtual void end(std::size_t task) = 0;
  /// Reports an exception. Returns true if the next task should be run.
  virtual bool failed(std::size_t task, std::exception_ptr error) = 0;

  /// When set, `LoopTasks::run` returns before the next task, or the next `stride` tasks.
  const std::atomic<bool>* attention = nullptr;
  /// Greater than 1 only if that many tasks take about a microsecond.
  std::size_t stride = 1;
  /// Whether begin() and end() are to be called.
  bool each = false;
  /// Whether a task that fails may be run again, so that its arguments must stay as they are.
  bool may_repeat = false;
  /// For this_task(). `LoopTasks::run` keeps the index; attempt and worker are the caller's.
  TaskInfo info;
};

/// The tasks of a loop, whatever their types. Different threads may use different tasks.
class LoopTasks {
 public:
  virtual ~LoopTasks();
  /// Runs tasks in this process and keeps their results. Returns the first task that was not run.
  virtual std::size_t run(TaskRange tasks, TaskRun& run) = 0;
  /// Reads one more task of lazily read input, in the loop's thread. Returns false at its end.
  virtual bool read() = 0;

  /// Throws CannotTravel if results can't be sent to another process, or if a task writes to what
  /// it was given by reference: in another process it would write to a copy.
  virtual void check_results() const = 0;
  /// Throws BadArgument if a failed task can't be run again in this process, because it changes
  /// arguments that can't be copied.
  virtual void check_repeats() const {}
  /// Encodes the result of a task that ran here. Throws CannotTravel if its type can't be sent.
  virtual void encode_result(std::size_t task, detail::Encoder& to) = 0;
  /// Decodes the result of one that ran in another process.
  virtual void decode_result(std::size_t task, detail::Decoder& from) = 0;
  /// Discards a result that was encoded, or is not needed.
  virtual void discard_result(std::size_t task) = 0;
  /// For tasks that report by themselves: these were taken; one is still to be run, or else failed;
  /// one has failed for good.
  virtual void taken(TaskRange) {}
  virtual bool is_wanted(std::size_t) const { return true; }
  virtual void failed(std::size_t, const std::exception_ptr&) {}

  /// The code that runs the task in another process of the same program. Throws CannotTravel, which
  /// names argument and type, if the types can't be sent.
  virtual PortableCode portable(std::size_t task) const = 0;
  /// Encodes the callable that all tasks share, if PortableCode::open is set.
  virtual void encode_callable(detail::Encoder& to) const = 0;
  /// Encodes the arguments of a task, preceded by its callable unless that is shared.
  virtual void encode_task(std::size_t task, detail::Encoder& to) const = 0;
};

}  // namespace hoist
