// SPDX-License-Identifier: BSD-3-Clause
#include "os/futex.hpp"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <climits>
#include <ctime>

namespace hoist::detail::os {

namespace {

int with(int operation, Sharing sharing) {
  return sharing == Sharing::threads ? operation | FUTEX_PRIVATE_FLAG : operation;
}

}  // namespace

void sleep_while(std::atomic<std::uint32_t>& word, std::uint32_t seen,
                 std::chrono::steady_clock::time_point deadline, Sharing sharing) noexcept {
  using Clock = std::chrono::steady_clock;
  timespec limit{};
  timespec* timeout = nullptr;
  if (deadline != Clock::time_point::max()) {
    const auto left = deadline - Clock::now();
    if (left <= Clock::duration::zero()) return;
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(left);
    limit.tv_sec = static_cast<std::time_t>(seconds.count());
    limit.tv_nsec = static_cast<long>(
        std::chrono::duration_cast<std::chrono::nanoseconds>(left - seconds).count());
    timeout = &limit;
  }
  ::syscall(SYS_futex, &word, with(FUTEX_WAIT, sharing), seen, timeout, nullptr, 0);
}

void wake_all(std::atomic<std::uint32_t>& word, Sharing sharing) noexcept {
  ::syscall(SYS_futex, &word, with(FUTEX_WAKE, sharing), INT_MAX, nullptr, nullptr, 0);
}

}  // namespace hoist::detail::os
