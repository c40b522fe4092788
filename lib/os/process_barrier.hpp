// SPDX-License-Identifier: BSD-3-Clause
#pragma once

namespace hoist::detail::os {

/// Makes this process one whose memory accesses are ordered by process_barrier() of others.
void join_process_barriers() noexcept;

/// A full memory barrier in this thread and in all that run in processes that have joined, so that
/// these need none where they look at shared memory often (membarrier(2), global expedited). False
/// where the kernel has none. Takes microseconds.
bool process_barrier() noexcept;

}  // namespace hoist::detail::os
