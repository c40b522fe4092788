// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <sched.h>

#include <chrono>

namespace hoist::detail::base {

inline void cpu_relax() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#endif
}

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
    const auto spun = std::chrono::steady_clock::now() - begin;
    if (spun >= limit) return condition();
    // Whoever is to make it true may need this core.
    if (spun >= limit / 8) ::sched_yield();
  }
}

}  // namespace hoist::detail::base
