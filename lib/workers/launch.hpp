// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "workers/worker_program.hpp"

namespace hoist::detail::workers {

/// In a worker's environment: the number of the descriptor through which it is spoken to.
inline constexpr const char* worker_variable = "HOIST_WORKER_CHANNEL";
inline constexpr int worker_channel_fd = 3;

struct Launch {
  WorkerProgram program;
  std::vector<std::string> environment;  ///< NAME=value, the worker's whole environment
  int channel = -1;
  int output = -1;  ///< becomes stdout
  int error = -1;   ///< becomes stderr
};

/// Starts the program, with nothing of this process but the three descriptors; stdin
/// reads the null device. The new process leads a process group of its own. Takes the same time
/// however much memory this process has. Throws SystemError.
pid_t launch_worker(const Launch& launch);

/// Throws BadArgument in a process that was started as a worker but never became one: what it runs
/// is the program, which started it, so each such process would start others. Defined beside what
/// makes a process a worker, so that every program that can start workers has that too.
void check_can_have_workers();

}  // namespace hoist::detail::workers
