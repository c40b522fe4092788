// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/deadline.hpp>

namespace hoist::detail::futures {

/// Waits until the callbacks of futures of `owner` (an ExecutorLoop; null: all) that were posted so
/// far are over. Does nothing in callbacks and tasks, for which a callback may wait.
void await_callbacks(const void* owner, Deadline deadline);

}  // namespace hoist::detail::futures
