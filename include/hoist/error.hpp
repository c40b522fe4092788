// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/requirements.hpp>

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <typeinfo>
#include <utility>
#include <vector>

namespace hoist {

namespace detail {

/// Results of a loop that its exception carries. Copies share them.
class CarriedResults {
 public:
  template <class R>
  const std::vector<std::optional<R>>& get(const char* carrier) const {
    if (!results_ || *type_ != typeid(R)) throw_wrong_type(typeid(R), carrier);
    return *static_cast<const std::vector<std::optional<R>>*>(results_.get());
  }
  template <class R>
  void set(std::vector<std::optional<R>> results) {
    results_ = std::make_shared<std::vector<std::optional<R>>>(std::move(results));
    type_ = &typeid(R);
  }

 private:
  [[noreturn]] void throw_wrong_type(const std::type_info& wanted, const char* carrier) const;

  std::shared_ptr<const void> results_;
  const std::type_info* type_ = nullptr;
};

}  // namespace detail

/// Base of all errors that hoist throws. The subclasses differ in what the caller can do about the
/// error. The message says what went wrong, with which file, index or type, and what the remedy is.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// An argument or option has an invalid value. Correct the call.
class BadArgument : public Error {
 public:
  using Error::Error;
};

/// A value or callable can't be sent to another process or written to a file. Use another type or
/// another backend.
class CannotTravel : public Error {
 public:
  using Error::Error;
};

/// The bytes are truncated, modified, or not in the format they claim. The file is not usable.
class DamagedData : public Error {
 public:
  using Error::Error;
};

/// The data ask for code to be run or for something outside the data to be accessed. hoist did
/// neither.
class UnsafeData : public DamagedData {
 public:
  using DamagedData::DamagedData;
};

/// Loading the data would exceed a limit (memory, depth, count). Raise the limit if you trust the
/// data.
class LimitExceeded : public DamagedData {
 public:
  using DamagedData::DamagedData;
};

/// The data are intact but hold another type. Ask for the type in the message.
class WrongType : public Error {
 public:
  using Error::Error;
};

/// The file, entry or name does not exist.
class NotFound : public Error {
 public:
  using Error::Error;
};

/// A time limit passed before the work was done. Where it was the `timeout` of a loop, the error
/// tells how far the loop came, and has what was done. Copies share the results.
class TimedOut : public Error {
 public:
  using Error::Error;
  TimedOut(const std::string& what, std::size_t tasks_done, std::size_t tasks)
      : Error(what), tasks_done_(tasks_done), tasks_(tasks) {}

  /// How many tasks of the loop had succeeded by then. 0 if the limit was not a loop's `timeout`.
  [[nodiscard]] std::size_t tasks_done() const noexcept { return tasks_done_; }
  /// How many tasks the loop has, or had read from its input by then. 0 if the limit was not
  /// a loop's `timeout`.
  [[nodiscard]] std::size_t tasks() const noexcept { return tasks_; }

  /// The results of the tasks that had succeeded by then, in the order of tasks, empty for others.
  /// `R` must be the loop's result type, also for `outcomes`. Throws BadArgument for another type,
  /// and if there are none: for a loop without results, calls of several types, a generator (which
  /// has handed them over), an error from another process, and no loop's `timeout`.
  template <class R>
  const std::vector<std::optional<R>>& results() const {
    return results_.get<R>("TimedOut");
  }

  /// For Parallel.
  void set_results(detail::CarriedResults results) { results_ = std::move(results); }

 private:
  std::size_t tasks_done_ = 0;
  std::size_t tasks_ = 0;
  detail::CarriedResults results_;
};

/// Ctrl-C or hoist::interrupt_loops() ended a loop before its work was done. Clean up and exit.
class Interrupted : public Error {
 public:
  using Error::Error;
};

/// A call has no result, because its future was cancelled, or its executor ended without it.
class Cancelled : public Error {
 public:
  using Error::Error;
};

/// The operating system reported an error.
class SystemError : public Error {
 public:
  /// `what` names the operation and the path; the system's text for the errno value `code` is
  /// appended.
  SystemError(const std::string& what, int code);
  /// The errno value.
  int code() const noexcept { return code_; }

 private:
  int code_;
};

/// An exception of another process whose type isn't known in this one. To keep the type, see
/// hoist/register_error.hpp. Its causes are nested in it, as by std::throw_with_nested.
class RemoteError : public Error {
 public:
  /// The message is "`type_name`: `text`" in one line, and in a second one the innermost frame.
  RemoteError(std::string type_name, std::string text, std::string stack = {});
  /// The name of the exception's type.
  const std::string& type_name() const noexcept { return type_name_; }
  /// The `what()` of the original exception.
  const std::string& text() const noexcept { return text_; }
  /// The stack at the throw, one line per frame; empty if it wasn't recorded.
  const std::string& stack() const noexcept { return stack_; }

 private:
  std::string type_name_;
  std::string text_;
  std::string stack_;
};

/// A worker process ended before its task was done. The task may or may not be the cause; it can be
/// tried again.
class WorkerDied : public Error {
 public:
  WorkerDied(const std::string& what, int pid, int signal, int exit_code)
      : Error(what), pid_(pid), signal_(signal), exit_code_(exit_code) {}
  /// The process id of the worker.
  int pid() const noexcept { return pid_; }
  /// The signal that ended the worker, or 0 if it exited by itself.
  int signal() const noexcept { return signal_; }
  /// The worker's exit code if `signal()` is 0.
  int exit_code() const noexcept { return exit_code_; }

 private:
  int pid_;
  int signal_;
  int exit_code_;
};

/// The process that held a lock ended without releasing it, so what the lock protects may be half
/// written. Put that in order under Lock::recover(), or make everything anew. Or: one that had got
/// items from a JoinableQueue ended before it was done with them.
class OwnerDied : public Error {
 public:
  OwnerDied(int pid, std::chrono::system_clock::time_point when);
  OwnerDied(const std::string& what, int pid, std::chrono::system_clock::time_point when)
      : Error(what), pid_(pid), when_(when) {}
  /// The process id of the holder.
  int pid() const noexcept { return pid_; }
  /// When the next process found the lock so.
  std::chrono::system_clock::time_point when() const noexcept { return when_; }

 private:
  int pid_;
  std::chrono::system_clock::time_point when_;
};

/// A queue had no room for an item in time, as its limits allow no more to wait.
class Full : public Error {
 public:
  using Error::Error;
};

/// Nothing arrived in a queue in time.
class Empty : public Error {
 public:
  using Error::Error;
};

/// A queue takes no more items since somebody has closed it, and none is left.
class Closed : public Error {
 public:
  using Error::Error;
};

/// Nothing will come out of a pipe, and nobody will get what is sent: all processes that had its
/// other end have closed it or died. Or: no other process has a queue that this one waits for.
class EndOfStream : public Error {
 public:
  using Error::Error;
};

/// A message was longer than the memory given for it.
class BufferTooShort : public Error {
 public:
  explicit BufferTooShort(std::vector<std::byte> message);
  /// The whole message, which is out of the pipe.
  const std::vector<std::byte>& message() const noexcept { return message_; }

 private:
  std::vector<std::byte> message_;
};

/// The server of a manager has ended, and its objects with it.
class ManagerDied : public Error {
 public:
  using Error::Error;
};

/// A barrier that will not be passed, as one of its parties died, gave up or called abort().
/// Barrier::reset() makes it usable again.
class BrokenBarrier : public Error {
 public:
  using Error::Error;
};

}  // namespace hoist
