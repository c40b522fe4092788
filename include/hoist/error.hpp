// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <stdexcept>
#include <string>

namespace hoist {

/// Base of every error hoist throws. Each subclass stands for what the caller can do about it;
/// the message says what went wrong, with which file, index or type, and how to mend it.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// An argument or option has a value that can't be meant. Mend the call.
class BadArgument : public Error {
 public:
  using Error::Error;
};

/// A value or callable can't be taken to another process or file. Choose another type or backend.
class CannotTravel : public Error {
 public:
  using Error::Error;
};

/// The bytes are cut, changed, or not in the format they claim. The file is not usable.
class DamagedData : public Error {
 public:
  using Error::Error;
};

/// The data would run code or reach outside themselves if obeyed; nothing of it was done.
class UnsafeData : public DamagedData {
 public:
  using DamagedData::DamagedData;
};

/// Obeying the data would pass a limit (memory, depth, count). Raise the limit if you trust them.
class LimitExceeded : public DamagedData {
 public:
  using DamagedData::DamagedData;
};

/// The data are sound but hold another type than the one asked for. Ask for the type named.
class WrongType : public Error {
 public:
  using Error::Error;
};

/// The file, entry or name does not exist.
class NotFound : public Error {
 public:
  using Error::Error;
};

/// A time limit passed before the work was done.
class TimedOut : public Error {
 public:
  using Error::Error;
};

/// Ctrl-C, or hoist::interrupt_loops(), ended a loop before its work was done. Wind up.
class Interrupted : public Error {
 public:
  using Error::Error;
};

/// The operating system refused; `code()` is its errno.
class SystemError : public Error {
 public:
  /// `what` says what was tried, on which path; the system's own text for `code` is appended.
  SystemError(const std::string& what, int code);
  int code() const noexcept { return code_; }

 private:
  int code_;
};

/// An exception of another process whose type isn't known here. Causes are nested in it, as with
/// std::throw_with_nested.
class RemoteError : public Error {
 public:
  /// The message is "`type_name`: `text`", followed by the stack if there is one.
  RemoteError(std::string type_name, std::string text, std::string stack = {});
  const std::string& type_name() const noexcept { return type_name_; }
  /// What the exception itself said.
  const std::string& text() const noexcept { return text_; }
  /// Where it was thrown, a line per frame; empty where that wasn't recorded.
  const std::string& stack() const noexcept { return stack_; }

 private:
  std::string type_name_;
  std::string text_;
  std::string stack_;
};

/// A worker process ended before its task was done. The task may be at fault or not: try again.
class WorkerDied : public Error {
 public:
  WorkerDied(const std::string& what, int pid, int signal, int exit_code)
      : Error(what), pid_(pid), signal_(signal), exit_code_(exit_code) {}
  int pid() const noexcept { return pid_; }
  /// The signal that ended it, or 0 where it exited by itself.
  int signal() const noexcept { return signal_; }
  /// Its exit code, where `signal()` is 0.
  int exit_code() const noexcept { return exit_code_; }

 private:
  int pid_;
  int signal_;
  int exit_code_;
};

}  // namespace hoist
