// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>

#include "support/slurm_programs.hpp"
#include "support/temp_dir.hpp"

// Worker hosts of an array that have ended by themselves, between two loops.

using namespace support;

TEST_CASE("a loop waits for others where all hosts have left since the last one") {
  if (cluster() == nullptr) return;
  const TempDir directory;
  const auto ended = run(words("again", directory / "a", {}, "TEST_HOSTS=1"));
  CHECK(ended.lines == Lines{"sum 2470", "sum 2470"});
}
