// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <chrono>

namespace hoist::detail::base {

inline void cpu_relax() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

/// Lets another thread have this core, and sets `now` to the time after it. Returns false at once
/// on a busy machine, where whoever yields comes after all others, many milliseconds later: a
/// thread that sleeps runs soon after it is woken.
bool yield_core(std::chrono::steady_clock::time_point& now) noexcept;

/// Spins for about as long as sleeping and waking would take (40 us on a virtual machine). Returns
/// whether the condition has become true.
template <class Condition>
bool spin_until(Condition&& condition,
                std::chrono::nanoseconds limit = std::chrono::microseconds(30)) {
  if (condition()) return true;
  const auto begin = std::chrono::steady_clock::now();
  for (;;) {
    for (int i = 0; i < 16; ++i) {
      if (condition()) return true;
      cpu_relax();
    }
    auto now = std::chrono::steady_clock::now();
    if (now - begin >= limit) return condition();
    // Whoever is to make it true may need this core.
    if (now - begin >= limit / 8 && !yield_core(now)) return condition();
  }
}

}  // namespace hoist::detail::base
