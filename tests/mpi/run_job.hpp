// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <doctest/doctest.h>

#include <sys/wait.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

// Whole MPI jobs, of which nothing is left.

namespace mpi_tests {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

struct Ended {
  int code = -1;
  std::vector<std::string> lines;  // but those of the MPI itself

  bool has(const std::string& text) const {
    return std::any_of(lines.begin(), lines.end(), [&](const std::string& line) {
      return line.find(text) != std::string::npos;
    });
  }
  long count(const std::string& beginning) const {
    return std::count_if(lines.begin(), lines.end(),
                         [&](const std::string& line) { return line.starts_with(beginning); });
  }
};

/// Processes that run the program now.
inline int processes() {
  int n = 0;
  for (const auto& entry : fs::directory_iterator("/proc")) {
    std::error_code error;
    const fs::path exe = fs::read_symlink(entry.path() / "exe", error);
    n += !error && exe == HOIST_TEST_PROGRAM ? 1 : 0;
  }
  return n;
}

inline const bool is_open_mpi = std::string(HOIST_TEST_MPI) == "default";

/// Runs a command under a hard time limit.
inline Ended run_command(const std::string& command) {
  const std::string limited =
      "export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 "
      "OMPI_MCA_rmaps_base_oversubscribe=1 "
      "PRTE_MCA_rmaps_default_mapping_policy=:oversubscribe HWLOC_COMPONENTS=-gl; "
      "timeout --kill-after=5 60 " +
      command + " 2>&1";
  Ended ended;
  std::FILE* const output = ::popen(limited.c_str(), "r");
  REQUIRE(output != nullptr);
  std::string text;
  char buffer[4096];
  while (std::fgets(buffer, sizeof buffer, output) != nullptr) text += buffer;
  const int status = ::pclose(output);
  ended.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) ended.lines.push_back(line);
  INFO(command, " ended with ", ended.code, ": ", text);
  CHECK(ended.code != 124);  // of timeout
  for (int i = 0; i < 200 && processes() > 0; ++i) std::this_thread::sleep_for(10ms);
  CHECK(processes() == 0);
  return ended;
}

inline Ended run(const std::string& what, int ranks = 3, const std::string& options = "",
                 const std::string& environment = "") {
  return run_command(HOIST_TEST_MPIRUN " " + options + " -n " + std::to_string(ranks) +
                     " env HOIST_BACKEND=mpi " + environment + " " HOIST_TEST_PROGRAM " " + what);
}

}  // namespace mpi_tests
