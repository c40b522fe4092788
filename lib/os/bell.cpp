// SPDX-License-Identifier: BSD-3-Clause
#include "os/bell.hpp"

#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <climits>
#include <ctime>

namespace hoist::detail::os {

void Bell::wake() noexcept {
  count.fetch_add(1, std::memory_order_release);
  ::syscall(SYS_futex, &count, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
}

void Bell::sleep(std::uint32_t seen, Clock::time_point deadline) noexcept {
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
  ::syscall(SYS_futex, &count, FUTEX_WAIT, seen, timeout, nullptr, 0);
}

void Bell::pause() noexcept {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

void Bell::yield() noexcept { ::sched_yield(); }

}  // namespace hoist::detail::os
