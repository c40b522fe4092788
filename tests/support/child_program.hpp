// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <ios>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "support/temp_dir.hpp"

extern "C" char** environ;

namespace support {

/// Runs one test case of this executable in a process of its own: for tests that end the process or
/// need one that nothing else has run in. Killed at the end of the scope.
class ChildProgram {
 public:
  /// The test case is decorated with doctest::skip(), so that it runs only here. `variables`:
  /// NAME=value. `launcher` is a program that starts the one named by its first argument.
  explicit ChildProgram(const std::string& test_case, std::vector<std::string> variables = {},
                        const std::string& launcher = {}) {
    std::vector<std::string> arguments{"-tc=" + test_case, "-ns", "-nv"};
    arguments.insert(arguments.begin(),
                     launcher.empty() ? std::string("/proc/self/exe")
                                      : std::filesystem::canonical("/proc/self/exe").string());
    if (!launcher.empty()) arguments.insert(arguments.begin(), launcher);
    const std::string file = arguments.front();
    for (char** at = environ; *at != nullptr; ++at) variables.emplace_back(*at);
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    const std::string out = (directory_ / "stdout").string();
    const std::string err = (directory_ / "stderr").string();
    ::posix_spawn_file_actions_addopen(&actions, 1, out.c_str(), O_WRONLY | O_CREAT, 0600);
    ::posix_spawn_file_actions_addopen(&actions, 2, err.c_str(), O_WRONLY | O_CREAT, 0600);
    const int error = ::posix_spawn(&pid_, file.c_str(), &actions, nullptr,
                                    pointers(arguments).data(), pointers(variables).data());
    ::posix_spawn_file_actions_destroy(&actions);
    if (error != 0) throw std::runtime_error("posix_spawn failed");
    pidfd_ = static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0U));
  }
  ChildProgram(const ChildProgram&) = delete;
  ChildProgram& operator=(const ChildProgram&) = delete;
  ~ChildProgram() {
    if (!ended_) {
      ::kill(pid_, SIGKILL);
      ::waitpid(pid_, &status_, 0);
    }
    ::close(pidfd_);
  }

  int pid() const { return pid_; }
  void signal(int number) const { ::kill(pid_, number); }
  /// True if the process exits by itself within the limit.
  bool ends_within(std::chrono::milliseconds limit) {
    pollfd end{pidfd_, POLLIN, 0};
    if (!ended_ && ::poll(&end, 1, static_cast<int>(limit.count())) == 1) {
      ended_ = ::waitpid(pid_, &status_, 0) == pid_;
    }
    return ended_;
  }
  int exit_code() const { return ended_ && WIFEXITED(status_) ? WEXITSTATUS(status_) : -1; }
  int end_signal() const { return ended_ && WIFSIGNALED(status_) ? WTERMSIG(status_) : 0; }
  std::string output() const { return slurp(directory_ / "stdout"); }
  std::string errors() const { return slurp(directory_ / "stderr"); }

 private:
  static std::vector<char*> pointers(std::vector<std::string>& texts) {
    std::vector<char*> all;
    for (std::string& text : texts) all.push_back(text.data());
    all.push_back(nullptr);
    return all;
  }

  TempDir directory_;
  pid_t pid_ = -1;
  int pidfd_ = -1;
  int status_ = 0;
  bool ended_ = false;
};

/// True if a process has ended, whether it has been reaped or not.
inline bool is_gone(int pid) {
  std::string stat;
  try {
    stat = slurp("/proc/" + std::to_string(pid) + "/stat");
  } catch (const std::ios_base::failure&) {
    return true;  // collected between opening and reading
  }
  const auto name_end = stat.rfind(") ");
  return name_end == std::string::npos || stat[name_end + 2] == 'Z' || stat[name_end + 2] == 'X';
}

/// Processes leave their ids for a test in such files.
inline void note_pids(const std::filesystem::path& to, const std::vector<int>& pids) {
  {
    std::ofstream out(to.string() + ".tmp");
    for (const int pid : pids) out << pid << '\n';
  }
  std::filesystem::rename(to.string() + ".tmp", to);
}
inline std::vector<int> noted_pids(const std::filesystem::path& from) {
  std::ifstream in(from);
  std::vector<int> pids;
  for (int pid = 0; in >> pid;) pids.push_back(pid);
  return pids;
}

/// Polls the condition until it holds or the limit has passed.
template <class Condition>
bool within(std::chrono::milliseconds limit, Condition condition) {
  const auto end = std::chrono::steady_clock::now() + limit;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}

}  // namespace support
