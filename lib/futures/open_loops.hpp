// SPDX-License-Identifier: BSD-3-Clause
#pragma once

namespace hoist::detail::futures {

class ExecutorLoop;

/// Has the end of the program finish the loop, or kill it (ExecutorLoop::ends_with_program).
void add_open_loop(ExecutorLoop& loop);
void remove_open_loop(ExecutorLoop& loop);

}  // namespace hoist::detail::futures
