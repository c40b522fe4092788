// SPDX-License-Identifier: BSD-3-Clause
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <string>

#include "support/slurm_cluster.hpp"

// slurm_run COMMAND: runs it in a shell, with a Slurm cluster of four nodes of its own. Ends as the
// command does, or with 77, which skips a test, where Slurm is not installed.

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  if (!support::SlurmCluster::is_installed()) {
    std::printf("skipped: Slurm is not installed (tools/setup --cluster)\n");
    return 77;
  }
  try {
    const support::SlurmCluster cluster;
    const std::string command = std::string("timeout --kill-after=5 280 sh -c \"$HOIST_COMMAND\"");
    ::setenv("HOIST_COMMAND", argv[1], 1);
    const int status = std::system(command.c_str());
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
  } catch (const std::exception& error) {
    std::printf("%s\n", error.what());
    return 1;
  }
}
