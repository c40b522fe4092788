// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/requirements.hpp>

namespace hoist {

/// Stops the loops that are running in this process: they start no further task, kill the tasks
/// that can be killed, and throw Interrupted to their callers. Returns at once. May be called in a
/// signal handler and from any thread; has no effect if no loop is running.
///
/// Loops react in the same way to the first Ctrl-C (SIGINT) if the program has not changed that
/// signal's default action; the second Ctrl-C kills the program. A program with a handler of its
/// own may call this function there.
void interrupt_loops() noexcept;

/// For long tasks on threads, which can't be killed: true if the result of the task is no longer
/// needed, because its loop or a loop around it was stopped (failure, time limit, Ctrl-C, destroyed
/// generator) or its own task_timeout has passed. What the task then returns or throws is ignored.
/// False outside of tasks, and in worker processes, which are killed instead. Takes about 10 ns.
[[nodiscard]] bool stop_requested() noexcept;

}  // namespace hoist
