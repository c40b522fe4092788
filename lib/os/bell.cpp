// SPDX-License-Identifier: BSD-3-Clause
#include "os/bell.hpp"

#include "os/futex.hpp"

namespace hoist::detail::os {

void Bell::wake() noexcept {
  count.fetch_add(1, std::memory_order_release);
  wake_all(count, Sharing::processes);
}

void Bell::sleep(std::uint32_t seen, Clock::time_point deadline) noexcept {
  sleep_while(count, seen, deadline, Sharing::processes);
}

}  // namespace hoist::detail::os
