// SPDX-License-Identifier: BSD-3-Clause
#include "os/child_watch.hpp"

#include <hoist/error.hpp>

#include <poll.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstring>

namespace hoist::detail::os {

namespace {

constexpr auto by_pidfd = static_cast<idtype_t>(3);  // P_PIDFD
constexpr unsigned to_process_group = 1U << 2;       // PIDFD_SIGNAL_PROCESS_GROUP, Linux 6.9

/// What waitpid(2) would have said of a child that something else has collected (Linux 6.15).
std::optional<int> status_of_collected(int pidfd) noexcept {
  // struct pidfd_info of <linux/pidfd.h>, in its first version.
  constexpr std::uint64_t exit_information = 1U << 3;
  constexpr std::size_t exit_code_at = 60;
  std::array<unsigned char, 64> information{};
  std::memcpy(information.data(), &exit_information, sizeof exit_information);
  if (::ioctl(pidfd, _IOC(_IOC_READ | _IOC_WRITE, 0xff, 11, information.size()),
              information.data()) != 0) {
    return std::nullopt;
  }
  std::uint64_t filled = 0;
  std::memcpy(&filled, information.data(), sizeof filled);
  if ((filled & exit_information) == 0) return std::nullopt;
  std::int32_t status = 0;
  std::memcpy(&status, information.data() + exit_code_at, sizeof status);
  return status;
}

int send_signal(int pidfd, int number, unsigned flags) noexcept {
  return static_cast<int>(::syscall(SYS_pidfd_send_signal, pidfd, number, nullptr, flags));
}

}  // namespace

Fd open_pidfd(pid_t pid) noexcept {
  return Fd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0U)));
}

void throw_no_process(int code) {
  if (code == EAGAIN) {
    throw SystemError(
        "can't start a worker process: a limit of processes is reached (ulimit -u, or pids.max of "
        "the control group); use a smaller n_jobs or the backend \"threads\"",
        code);
  }
  throw SystemError("can't start a worker process", code);
}

ChildWatch::ChildWatch(pid_t pid) : pid_(pid), pidfd_(open_pidfd(pid)) {
  if (pidfd_) return;
  const int code = errno;
  if (::kill(-pid, SIGKILL) != 0) ::kill(pid, SIGKILL);
  ::waitpid(pid, nullptr, 0);
  throw SystemError(
      "can't watch a worker process by pidfd_open(2), which the backends \"spawn\" and \"fork\" "
      "need (a sandbox may have to allow it; \"threads\" works without)",
      code);
}

void ChildWatch::signal(int number) const noexcept { send_signal(pidfd_.get(), number, 0); }

void ChildWatch::kill_group() const noexcept {
  if (send_signal(pidfd_.get(), SIGKILL, to_process_group) == 0) return;
  if (errno == ESRCH) {
    send_signal(pidfd_.get(), SIGKILL, 0);
    return;
  }
  // An older system. The number of a child that is not collected is not given to another, nor its
  // group's.
  siginfo_t information{};
  const bool is_ours = ::waitid(by_pidfd, static_cast<id_t>(pidfd_.get()), &information,
                                WEXITED | WNOHANG | WNOWAIT) == 0;
  if (is_ours && ::kill(-pid_, SIGKILL) != 0) ::kill(pid_, SIGKILL);
}

std::optional<ChildEnd> ChildWatch::end() const noexcept {
  siginfo_t information{};
  if (::waitid(by_pidfd, static_cast<id_t>(pidfd_.get()), &information,
               WEXITED | WNOHANG | WNOWAIT) == 0) {
    if (information.si_pid == 0) return std::nullopt;
    if (information.si_code == CLD_EXITED) return ChildEnd{.exit_code = information.si_status};
    return ChildEnd{.signal = information.si_status};
  }
  if (!is_ready(pidfd_.get(), POLLIN)) return std::nullopt;
  const auto status = status_of_collected(pidfd_.get());
  if (!status) return ChildEnd{.is_known = false};
  if (WIFEXITED(*status)) return ChildEnd{.exit_code = WEXITSTATUS(*status)};
  return ChildEnd{.signal = WTERMSIG(*status)};
}

void ChildWatch::collect() const noexcept {
  siginfo_t information{};
  while (::waitid(by_pidfd, static_cast<id_t>(pidfd_.get()), &information, WEXITED) != 0 &&
         errno == EINTR) {
  }
}

}  // namespace hoist::detail::os
