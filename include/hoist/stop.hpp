// SPDX-License-Identifier: BSD-3-Clause
#pragma once

namespace hoist {

/// Stops the loops that run in this process now: they start no further task, end the tasks that can be
/// ended, and throw Interrupted to their callers. Returns at once. Safe in a signal handler, and from
/// any thread; does nothing where no loop runs.
///
/// Loops do the same at the first Ctrl-C (SIGINT) as long as the program leaves that signal at its
/// default; the second then kills the program. A program with a handler of its own decides itself, and
/// may call this.
void interrupt_loops() noexcept;

/// For long tasks on threads, which nothing can end from outside: whether the task is no longer wanted,
/// since its loop was stopped (a failure, a time limit, Ctrl-C, a dropped generator), or a loop around
/// it, or its own task_timeout has passed. What it then returns or throws is not looked at. False
/// outside of tasks, and in worker processes, which are killed instead. Some 10 ns.
bool stop_requested() noexcept;

}  // namespace hoist
