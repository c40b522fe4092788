// SPDX-License-Identifier: BSD-3-Clause
#pragma once

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
  const auto end = std::chrono::steady_clock::now() + limit;
  do {
    for (int i = 0; i < 16; ++i) {
      if (condition()) return true;
      cpu_relax();
    }
  } while (std::chrono::steady_clock::now() < end);
  return condition();
}

}  // namespace hoist::detail::base
