// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <sys/types.h>

#include <optional>
#include <utility>

#include "os/file.hpp"

namespace hoist::detail::os {

/// How a child process ended.
struct ChildEnd {
  int signal = 0;     ///< 0 if it exited by itself
  int exit_code = 0;  ///< if signal is 0
  /// False if something else has collected the child (the program ignores SIGCHLD or waits for any
  /// child), and the system no longer tells how it ended.
  bool is_known = true;

  bool is_failure() const { return signal != 0 || exit_code != 0 || !is_known; }
};

/// Watches a child. It does not rely on being the only one who waits for children, and never
/// signals a process that got the child's number later.
class ChildWatch {
 public:
  ChildWatch() = default;
  /// If the system refuses, the child is killed and collected, and SystemError thrown.
  explicit ChildWatch(pid_t pid);
  /// Watches a process that another one has started.
  ChildWatch(pid_t pid, Fd pidfd) : pid_(pid), pidfd_(std::move(pidfd)) {}

  explicit operator bool() const noexcept { return static_cast<bool>(pidfd_); }
  /// Readable once the child has ended.
  int fd() const noexcept { return pidfd_.get(); }
  /// Sends a signal to the child itself; nothing if it has ended.
  void signal(int number) const noexcept;
  /// Of a child that leads a process group: kills it and its group. After its end too: what it has
  /// started may still run.
  void kill_group() const noexcept;
  /// How it ended; nothing while it runs. Does not collect it.
  std::optional<ChildEnd> end() const noexcept;
  /// Once it has ended: lets the system forget it.
  void collect() const noexcept;

 private:
  pid_t pid_ = -1;
  Fd pidfd_;
};

/// Throws SystemError: no process could be started, and what to do.
[[noreturn]] void throw_no_process(int code);

/// Opens a descriptor of a process, which becomes readable when the process ends. Empty, with errno
/// set, on failure.
Fd open_pidfd(pid_t pid) noexcept;

}  // namespace hoist::detail::os
