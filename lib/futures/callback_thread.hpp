// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <chrono>

namespace hoist::detail::futures {

/// Waits until the callbacks that were posted are over; not in a callback.
void drain_callbacks(std::chrono::steady_clock::time_point deadline);

}  // namespace hoist::detail::futures
