// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <sys/types.h>

#include <map>
#include <string>
#include <vector>

#include "workers/worker_program.hpp"

namespace hoist::detail::workers {

/// In the environment of a worker, and of a Process: the number of the descriptor through which it
/// is spoken to.
inline constexpr const char* worker_variable = "HOIST_WORKER_CHANNEL";
inline constexpr const char* process_variable = "HOIST_PROCESS_CHANNEL";
inline constexpr int worker_channel_fd = 3;

struct Launch {
  WorkerProgram program;
  std::vector<std::string> environment;  ///< NAME=value, the worker's whole environment
  int channel = -1;
  int output = -1;        ///< becomes stdout; -1: this process's
  int error = -1;         ///< becomes stderr; -1: this process's
  bool own_group = true;  ///< it leads a process group of its own
};

/// Starts the program, with nothing of this process but the three descriptors; stdin reads the null
/// device. Takes the same time however much memory this process has. Throws SystemError.
pid_t launch_worker(const Launch& launch);

/// Throws BadArgument for what can't be a variable: its name is empty or has a '=', or there is a
/// zero byte.
void check_variables(const std::map<std::string, std::string>& variables);
/// This process's environment, in which `added` replace or join its own. Throws likewise.
std::vector<std::string> environment_with(const std::map<std::string, std::string>& added);

/// What a process with `process_variable` runs instead of main; does not return. Null where the
/// program has no such processes.
using RunProcess = void (*)(int channel, bool is_hosted);
extern constinit RunProcess run_process;

/// What is done when main would begin, after the static objects were made: for processes of this
/// program that serve others instead, and then do not return. Added before main, never removed.
struct BeforeMain {
  void (*call)() = nullptr;
  BeforeMain* next = nullptr;
};
void add_before_main(BeforeMain& what);

/// Throws BadArgument in a process that was started as a worker, or as a Process, but never became
/// one: what it runs is the program, which started it, so each such process would start others.
/// Defined beside what makes a process a worker, so that every program that can start workers has
/// that too.
void check_can_have_workers();

}  // namespace hoist::detail::workers
