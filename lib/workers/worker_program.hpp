// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>
#include <vector>

namespace hoist::detail::workers {

struct HostedEntry;

/// What is started as a worker.
struct WorkerProgram {
  std::string path;
  std::vector<std::string> arguments;  ///< from the program's name on
  bool is_hosted = false;              ///< it is hoist-worker, not this program
};

/// This program. Where hoist is in a library, and in nothing that this program begins with, the
/// program would not become a worker: then it is hoist-worker, which loads that library. Throws
/// NotFound, with the remedy, if there is no hoist-worker.
WorkerProgram worker_program();

// In entry.cpp:

/// Whether this program can become a worker, and has just had the choice.
bool can_become_worker();
/// That of the library with this code in it.
const HostedEntry& hosted_entry();

}  // namespace hoist::detail::workers
