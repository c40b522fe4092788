// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/types.h>

#include <cerrno>
#include <chrono>

namespace hoist::detail::redis {

/// Whether an error of a socket says that the other side is no more.
inline bool is_gone(int error) {
  return error == EPIPE || error == ECONNRESET || error == ENOTCONN;
}

/// A system call on a socket, again where a signal has interrupted it. Each attempt waits for the
/// socket's time limit anew (`limit`: SO_RCVTIMEO or SO_SNDTIMEO), so a program with a timer would
/// wait for ever: once that time is over it is EAGAIN.
template <class Call>
ssize_t repeated(int fd, int limit, const Call& call) {
  using Clock = std::chrono::steady_clock;
  for (const auto start = Clock::now();;) {
    const ssize_t done = call();
    if (done >= 0 || errno != EINTR) return done;
    timeval time{};
    socklen_t size = sizeof time;
    ::getsockopt(fd, SOL_SOCKET, limit, &time, &size);
    const auto most = std::chrono::seconds(time.tv_sec) + std::chrono::microseconds(time.tv_usec);
    if (Clock::now() - start < most) continue;
    errno = EAGAIN;
    return -1;
  }
}

}  // namespace hoist::detail::redis
