// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "support/slurm_programs.hpp"
#include "support/temp_dir.hpp"

// Worker hosts that Slurm has started, and what they and others do when one of them dies.

using namespace support;
namespace fs = std::filesystem;

TEST_CASE("tasks of a host that is killed run elsewhere, and so do those of one that leaves") {
  if (cluster() == nullptr) return;
  const TempDir directory;
  for (const std::string what : {"kill_host", "end_host"}) {
    const auto ended =
        run(words(what, directory / "a", {(directory / what).string()}, two_hosts), inside);
    CHECK(ended.has("60 tasks on "));
    CHECK(fs::exists(directory / what));
  }
  CHECK(count_entries(directory / "a") == 0);
}
