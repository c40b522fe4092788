// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "os/child_watch.hpp"
#include "os/file.hpp"

namespace hoist::detail::processes {

/// What a process is told of a Process that it has started, by the socket between them.
enum class Notice : std::uint32_t {
  started = 1,  ///< number of the process; its pidfd comes along. By a child of a fork server.
  left = 2,     ///< exit code. By a child that ends in order.
  ended = 3,    ///< signal, exit code. By the fork server.
  failed = 4,   ///< errno. By a fork server that can't fork.
};

/// What exitcode() gives where nobody can tell, as in Python.
inline constexpr int unknown_exit_code = 255;

/// A process that this one knows: a child, its parent, or itself. Thread-safe.
class Peer {
 public:
  using Clock = std::chrono::steady_clock;

  /// One that this process only watches; `pidfd` may be empty for one that has ended.
  Peer(std::string name, int pid, bool daemon, os::Fd pidfd)
      : name_(std::move(name)), daemon_(daemon), pid_(pid), watch_(pid, std::move(pidfd)) {}
  /// A child. Notices of it come by `channel`. `server`: the descriptor of the fork server that
  /// collects it, if there is one.
  Peer(std::string name, bool daemon, int pid, os::ChildWatch watch, os::Fd channel,
       std::shared_ptr<const os::Fd> server);

  const std::string& name() const noexcept { return name_; }
  int pid() const noexcept { return pid_; }
  bool daemon() const noexcept { return daemon_; }
  int fd() const noexcept { return watch_.fd(); }
  /// Whether it is a child of this process: not of the one that this was forked from.
  bool is_own_child() const noexcept;
  /// Whether it is a child of the process that this was forked from.
  bool is_parents_child() const noexcept { return owner_ != 0 && !is_own_child(); }

  /// Whether it has ended. Of a child that has, keeps the exit code and collects it.
  bool ended();
  /// Waits for the end. Throws BadArgument for what this process can't wait for.
  bool wait(Clock::time_point deadline);
  /// Nothing while it runs, or if it is no child.
  std::optional<int> exit_code();
  void signal(int number) const noexcept { watch_.signal(number); }
  /// Ends a child that nobody is to wait for: SIGTERM, and SIGKILL a second after `asked`.
  void end(Clock::time_point asked);
  /// In a forked child, to which the parent's children are none: closes the descriptors.
  void forget() noexcept;

 private:
  void collect();
  int find_exit_code();
  std::optional<int> noticed(bool waits);

  const std::string name_;
  const bool daemon_;
  const int pid_;
  const int owner_ = 0;  // the parent, of a child
  os::ChildWatch watch_;
  os::Fd channel_;
  std::shared_ptr<const os::Fd> server_;
  std::mutex mutex_;
  std::optional<int> exit_code_;
};

/// The children of this process that have not been collected.
void add_child(const std::shared_ptr<Peer>& child);
void remove_child(const Peer* child);
std::vector<std::shared_ptr<Peer>> known_children();

}  // namespace hoist::detail::processes
