// SPDX-License-Identifier: BSD-3-Clause
#include "base/spin.hpp"

#include <sched.h>

#include <algorithm>

namespace hoist::detail::base {

bool yield_core(std::chrono::steady_clock::time_point& now) noexcept {
  using std::chrono::milliseconds;
  thread_local std::chrono::steady_clock::time_point busy_until;
  if (now < busy_until) return false;
  ::sched_yield();
  const auto after = std::chrono::steady_clock::now();
  // Threads of one loop that share a core give it to each other for up to 4 ms: that is not busy.
  // A process that was stopped meanwhile took any time, which says little, hence the bound.
  if (after - now > milliseconds(6)) {
    busy_until = after + std::min<std::chrono::nanoseconds>(10 * (after - now), milliseconds(500));
  }
  now = after;
  return true;
}

}  // namespace hoist::detail::base
