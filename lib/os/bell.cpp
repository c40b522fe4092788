// SPDX-License-Identifier: BSD-3-Clause
#include "os/bell.hpp"

#include <sched.h>

#include "os/futex.hpp"

namespace hoist::detail::os {

void Bell::wake() noexcept {
  count.fetch_add(1, std::memory_order_release);
  wake_all(count, Sharing::processes);
}

void Bell::sleep(std::uint32_t seen, Clock::time_point deadline) noexcept {
  sleep_while(count, seen, deadline, Sharing::processes);
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
