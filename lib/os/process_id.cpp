// SPDX-License-Identifier: BSD-3-Clause
#include "os/process_id.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <optional>

#include "os/child_watch.hpp"
#include "os/fork_hook.hpp"

namespace hoist::detail::os {

namespace {

struct Stat {
  char state = 0;
  std::uint32_t started = 0;  // the lower half of it, in ticks since the system started
};

/// Nothing where the process is no more, or /proc can't be read.
std::optional<Stat> stat_of(int pid) noexcept {
  std::array<char, 32> path{};
  std::snprintf(path.data(), path.size(), "/proc/%d/stat", pid);
  const Fd file(::open(path.data(), O_RDONLY | O_CLOEXEC));
  std::array<char, 1024> text{};
  if (!file || ::read(file.get(), text.data(), text.size() - 1) <= 0) return std::nullopt;
  // The program's name, in parentheses, may hold anything.
  const char* at = std::strrchr(text.data(), ')');
  if (at == nullptr || at[1] == 0) return std::nullopt;
  Stat stat{.state = at[2]};
  constexpr int fields_before = 20;  // from the one behind the name to the time of start
  for (int i = 0; i < fields_before; ++i) {
    at = std::strchr(at + 1, ' ');
    if (at == nullptr) return std::nullopt;
  }
  stat.started = static_cast<std::uint32_t>(std::strtoull(at, nullptr, 10));
  return stat;
}

ProcessId id_of_this() {
  const int pid = ::getpid();
  const auto stat = stat_of(pid);
  return (ProcessId{static_cast<std::uint32_t>(pid)} << 32) | (stat ? stat->started : 0);
}

}  // namespace

ProcessId own_process() {
  static PerProcess<const ProcessId> own;
  return own.here([] { return new const ProcessId(id_of_this()); });
}

constinit thread_local std::uint64_t known_thread = 0;

std::uint64_t find_own_thread() {
  static std::mutex mutex;
  // A forked child has one thread, the one that forked.
  ForkHook::keep(mutex, [] { known_thread = 0; });
  return known_thread = (std::uint64_t{static_cast<std::uint32_t>(::getpid())} << 32) |
                        static_cast<std::uint32_t>(::gettid());
}

bool is_running(ProcessId process) noexcept {
  const int pid = pid_of(process);
  if (::kill(pid, 0) != 0 && errno == ESRCH) return false;
  const Fd fd = open_pidfd(pid);
  if (fd) {
    pollfd ended{.fd = fd.get(), .events = POLLIN, .revents = 0};
    if (::poll(&ended, 1, 0) == 1) return false;
  }
  const auto stat = stat_of(pid);
  if (!stat) return true;
  // A first thread that has ended looks like a process that has; the descriptor tells them apart.
  if (!fd && (stat->state == 'Z' || stat->state == 'X')) return false;
  const auto started = static_cast<std::uint32_t>(process);
  return started == 0 || stat->started == started;
}

}  // namespace hoist::detail::os
