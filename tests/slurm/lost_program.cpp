// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "support/slurm_programs.hpp"
#include "support/temp_dir.hpp"

// Worker hosts that Slurm has started, and what they do without their program.

using namespace support;
namespace fs = std::filesystem;

TEST_CASE("hosts whose program is killed end, and remove what it has left") {
  if (cluster() == nullptr) return;
  const TempDir directory;
  Daemon program(words("nodes", directory / "a", {"600"}, two_hosts), directory / "log");
  await([&] { return SlurmCluster::processes(HOIST_TEST_PROGRAM) >= 7; });
  program.end(SIGKILL);
  check_all_gone();
  CHECK(count_entries(directory / "a") == 0);
}
