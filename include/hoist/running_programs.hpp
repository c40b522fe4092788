// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/requirements.hpp>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

// What this user's programs with hoist are doing now, as `hoist top` shows it.

namespace hoist {

/// A loop that is not inside of another one's task, or an executor.
struct RunningLoop {
  /// The same at each look for one loop, and for no other loop of its program.
  std::uint64_t number = 0;
  bool is_executor = false;
  std::string backend;
  unsigned workers = 0;
  std::chrono::system_clock::time_point started;
  /// Tasks; for an executor the calls that were submitted. Nothing as long as the loop reads input
  /// of unknown length.
  std::optional<std::uint64_t> total;
  std::uint64_t done = 0;
  std::uint64_t failed = 0;
  /// How long its workers have been in tasks, all together. Nothing where the loop doesn't measure
  /// it, which is with a `batch_size` that was set. The tasks that run now don't count yet.
  std::optional<std::chrono::nanoseconds> busy;
};

/// Calls of a cached function since its program has begun.
struct RunningFunction {
  std::string name;
  std::uint64_t hits = 0;
  std::uint64_t misses = 0;
};

/// A program, with its worker processes and other children that aren't programs with loops of their
/// own.
struct RunningProgram {
  int pid = 0;
  /// The command line, with spaces between its words.
  std::string command;
  std::chrono::system_clock::time_point started;
  /// Processes, and what they have used of the processors and use of the memory. Memory that
  /// processes share counts for each.
  unsigned processes = 0;
  std::chrono::nanoseconds cpu{};
  std::uint64_t memory_bytes = 0;
  std::vector<RunningLoop> loops;
  /// Loops and executors that have ended, and the tasks done in them.
  std::uint64_t ended_loops = 0;
  std::uint64_t ended_tasks = 0;
  std::vector<RunningFunction> functions;
};

/// All of this user's running programs that use hoist, in the order of their pids.
///
/// A program publishes counters, and nothing else, from its first loop or cached function on: in a
/// file of 16 KiB in $XDG_RUNTIME_DIR/hoist, which only the user can enter. Where that variable
/// isn't set, or the program's environment says HOIST_TOP=0, it publishes nothing.
/// docs/formats/status.md describes the file.
///
/// Removes what killed programs have left there. Throws NotFound if XDG_RUNTIME_DIR isn't set,
/// BadArgument if the directory is not the user's alone. Cost: reads a file of /proc for each
/// process of the system, and one of 16 KiB for each that publishes. Thread-safe.
std::vector<RunningProgram> running_programs();

}  // namespace hoist
