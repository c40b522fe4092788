// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/backend.hpp>

#include <algorithm>
#include <chrono>

namespace hoist::detail::backends {

/// When to look for results of which nobody tells. A worker doesn't wake this process for a result
/// right behind another (FlushTimer), and its next task may take long: it is looked for soon, and
/// then less and less often.
class LookAgain {
 public:
  void note(bool any_came) { pause_ = any_came ? shortest : std::min(2 * pause_, longest); }
  Clock::time_point next() const { return Clock::now() + pause_; }

 private:
  static constexpr std::chrono::milliseconds shortest{5};
  static constexpr std::chrono::milliseconds longest{320};
  std::chrono::milliseconds pause_ = shortest;
};

}  // namespace hoist::detail::backends
