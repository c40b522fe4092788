// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <chrono>
#include <string>
#include <vector>

namespace hoist::detail::slurm {

/// What became of a command.
struct CommandEnd {
  bool in_time = true;  ///< false: it was killed
  bool succeeded = false;
  std::string output;
  std::string errors;
};

/// Runs a program of the search path without input, in a process group of its own, so that Ctrl-C
/// does not reach it. Variables that begin with one of `hidden` are not in its environment. Throws
/// NotFound if there is no such program, else SystemError.
CommandEnd run_command(const std::vector<std::string>& words, std::chrono::milliseconds limit,
                       const std::vector<std::string>& hidden = {});

}  // namespace hoist::detail::slurm
