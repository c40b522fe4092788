// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <chrono>
#include <ratio>
#include <type_traits>

namespace hoist::detail {

using Deadline = std::chrono::steady_clock::time_point;

/// The time after that long: now for what isn't above zero, at most the last that the clock has.
template <class Rep, class Period>
Deadline deadline_after(std::chrono::duration<Rep, Period> time) {
  using Clock = std::chrono::steady_clock;
  const auto now = Clock::now();
  const std::chrono::duration<long double> seconds = time;
  if (!(seconds.count() > 0)) return now;
  constexpr std::chrono::duration<long double, std::ratio<86400 * 365>> long_enough(100);
  if (seconds >= long_enough) return Clock::time_point::max();
  return now + std::chrono::ceil<Clock::duration>(time);
}

/// The same instant by the steady clock, as far as the other one does not jump.
template <class Clock, class Duration>
Deadline deadline_at(std::chrono::time_point<Clock, Duration> time) {
  using Seconds = std::chrono::duration<long double>;
  return deadline_after(Seconds(time.time_since_epoch()) -
                        Seconds(Clock::now().time_since_epoch()));
}

}  // namespace hoist::detail
