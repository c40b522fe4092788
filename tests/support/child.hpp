// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <functional>
#include <thread>

#include "multiprocess/shared_store.hpp"

namespace support {

/// A forked child that does `work` and ends with status 0, or 1 if that throws. It is killed and
/// collected at the latest with this.
class Child {
 public:
  explicit Child(const std::function<void()>& work) : pid_(::fork()) {
    if (pid_ != 0) return;
    int status = 0;
    try {
      work();
    } catch (...) {
      status = 1;
    }
    ::_exit(status);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() {
    if (!ended_) kill();
  }

  int pid() const { return pid_; }
  /// Kills it, if it still runs.
  void kill() {
    if (!ended_) ::kill(pid_, SIGKILL);
    wait();
  }
  /// Waits for its end: the exit status, or minus the signal.
  int wait() {
    if (!ended_) collect(0);
    return status_;
  }
  /// Likewise, but no longer than that: kills it then and returns `hangs`.
  int wait_for(std::chrono::milliseconds time) {
    const auto end = std::chrono::steady_clock::now() + time;
    while (!ended_ && std::chrono::steady_clock::now() < end) {
      collect(WNOHANG);
      if (!ended_) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    if (ended_) return status_;
    kill();
    return hangs;
  }
  static constexpr int hangs = -1000;

 private:
  void collect(int flags) {
    int status = 0;
    if (::waitpid(pid_, &status, flags) != pid_) return;
    ended_ = true;
    status_ = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }

  pid_t pid_;
  bool ended_ = false;
  int status_ = 0;
};

/// Ends this process by SIGKILL before its `n`-th store to shared memory from now on, counted from
/// 0.
inline void die_before_store(int n) {
  static int left;
  left = n;
  hoist::detail::multiprocess::before_store.store([] {
    if (left-- == 0) ::kill(::getpid(), SIGKILL);
  });
}

/// Runs `work` in a child that dies before its first store, then in one that dies before its
/// second, and so on until one lives to the end; calls `after` behind each. Returns how many died.
template <class Work, class After>
int at_each_store(const Work& work, const After& after) {
  for (int n = 0;; ++n) {
    Child child([&] {
      die_before_store(n);
      work();
    });
    const int status = child.wait_for(std::chrono::seconds(30));
    after(n, child.pid());
    if (status != -SIGKILL) return n;
  }
}

}  // namespace support
