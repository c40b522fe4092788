// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>

#include "support/slurm_programs.hpp"
#include "support/temp_dir.hpp"

// Worker hosts of an array that have ended by themselves, in a loop.

using namespace support;

TEST_CASE("hosts of an array that end are replaced") {
  if (cluster() == nullptr) return;
  const TempDir directory;
  const auto ended =
      run(words("end_host", directory / "a", {(directory / "once").string()}, "TEST_HOSTS=1"));
  CHECK(ended.has("60 tasks on "));
  CHECK(count_entries(directory / "a") == 0);
}
