// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <thread>

#include "support/extended.hpp"
#include "support/slurm_programs.hpp"
#include "support/temp_dir.hpp"

// Worker hosts that Slurm has started, and what they do without their program.

using namespace support;

TEST_CASE("hosts whose program is killed end, and remove what it has left") {
  if (cluster() == nullptr) return;
  const TempDir directory;
  Daemon program(words("nodes", directory / "a", {"600"}, two_hosts), directory / "log");
  await([&] { return SlurmCluster::processes(HOIST_TEST_PROGRAM) >= 7; });
  program.end(SIGKILL);
  check_all_gone();
  CHECK(count_entries(directory / "a") == 0);
}

TEST_CASE("hosts wait for a program that was stopped, and go on with it" *
          doctest::skip(!extended)) {
  if (cluster() == nullptr) return;
  const TempDir directory;
  Daemon program(words("nodes", directory / "a", {"600"}, two_hosts), directory / "log");
  await([&] { return SlurmCluster::processes(HOIST_TEST_PROGRAM) >= 7; });
  ::kill(program.pid(), SIGSTOP);
  std::this_thread::sleep_for(std::chrono::seconds(30));  // three times as long as they listen
  ::kill(program.pid(), SIGCONT);
  for (int i = 0; i < 3000 && !program.has_ended(); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  CHECK(slurp(directory / "log").find("600 tasks on ") != std::string::npos);
  check_all_gone();
  CHECK(count_entries(directory / "a") == 0);
}
