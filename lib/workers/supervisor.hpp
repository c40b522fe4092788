// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <thread>

#include "workers/local_worker.hpp"

namespace hoist::detail::workers {

/// The one thread of this process that watches all its workers: their lives, their output, and how
/// long they have been idle. Every wait for a worker relies on it to be ended when the worker dies,
/// so nothing that the thread does may block.
class Supervisor {
 public:
  /// Of this process; a forked child gets its own.
  static Supervisor& here();

  void add(const std::shared_ptr<LocalWorker>& worker);
  /// Makes the thread look at idle times anew by then at the latest.
  void look_at(ipc::Clock::time_point when);
  /// Called by the supervisor's thread to retire idle workers; returns when to call next.
  void set_idle_check(ipc::Clock::time_point (*check)());

  /// For the end of the program: returns when every worker is gone, and all that workers have
  /// printed is written. Those that take too long to leave are killed, unless they wait for
  /// somebody to read this process's output.
  void end_all();

 private:
  Supervisor();
  void run();
  void watch(int fd, std::uint64_t id, unsigned events);
  void interrupt();

  os::Fd epoll_;
  os::Fd wakeup_;
  std::mutex mutex_;
  std::map<std::uint64_t, std::shared_ptr<LocalWorker>> workers_;
  std::uint64_t next_ = 1;
  ipc::Clock::time_point next_look_ = ipc::Clock::time_point::max();
  ipc::Clock::time_point (*idle_check_)() = nullptr;
};

}  // namespace hoist::detail::workers
