// SPDX-License-Identifier: BSD-3-Clause
#include "os/size_limit.hpp"

#include <sys/resource.h>

#include <cerrno>
#include <csignal>
#include <ctime>

namespace hoist::detail::os {

namespace {

sigset_t size_signal() noexcept {
  sigset_t signals;
  ::sigemptyset(&signals);
  ::sigaddset(&signals, SIGXFSZ);
  return signals;
}

}  // namespace

SizeLimitAsError::SizeLimitAsError() noexcept {
  struct rlimit limit{};
  sigset_t pending;
  sigset_t before;
  if (::getrlimit(RLIMIT_FSIZE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return;
  // One that is pending already isn't ours to take; it is blocked then, and stays so.
  if (::sigpending(&pending) != 0 || ::sigismember(&pending, SIGXFSZ) != 0) return;
  const sigset_t signals = size_signal();
  active_ = ::pthread_sigmask(SIG_BLOCK, &signals, &before) == 0;
  was_blocked_ = active_ && ::sigismember(&before, SIGXFSZ) == 1;
}

SizeLimitAsError::~SizeLimitAsError() {
  if (!active_) return;
  const int error = errno;
  const sigset_t signals = size_signal();
  const timespec at_once{};
  while (::sigtimedwait(&signals, nullptr, &at_once) < 0 && errno == EINTR) {
  }
  if (!was_blocked_) ::pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
  errno = error;
}

}  // namespace hoist::detail::os
