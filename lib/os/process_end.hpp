// SPDX-License-Identifier: BSD-3-Clause
#pragma once

namespace hoist::detail::os {

/// Calls `action` when this process ends in order: by exit(), or as a worker. Once, however often
/// it is asked for. Forked children have to ask anew.
void at_process_end(void (*action)());
/// For a process that ends without exit().
void run_process_end() noexcept;

}  // namespace hoist::detail::os
