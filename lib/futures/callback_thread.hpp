// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/deadline.hpp>

namespace hoist::detail::futures {

/// Waits until the callbacks that were posted so far are over; not in a callback.
void await_callbacks(Deadline deadline);

}  // namespace hoist::detail::futures
