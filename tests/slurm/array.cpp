// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>

#include <string>

#include "support/slurm_programs.hpp"
#include "support/temp_dir.hpp"

// Job arrays: what loops return.

using namespace support;

TEST_CASE("loops have the results that they have on threads, and large arguments go along") {
  if (cluster() == nullptr) return;
  const TempDir directory;
  CHECK(run(words("loop", directory / "a")).lines == Lines{"sum 2470"});
  CHECK(run(words("arrays", directory / "b")).lines ==
        Lines{"total 274877382656", "total 274877382657", "total 274877382658", "made 524288 0",
              "made 524288 100", "made 524288 200"});
}

TEST_CASE("tasks that throw, crash and take too long cost a task") {
  if (cluster() == nullptr) return;
  const TempDir directory;
  CHECK(run(words("throw", directory / "a")).lines ==
        Lines{"0", "1", "out of range: task 2 throws", "3"});
  for (const std::string what : {"crash", "crash_in_batch"}) {
    const auto crash = run(words(what, directory / what));
    CHECK(crash.has("0\n1\ndied 11: "));
    CHECK(crash.has("while it ran task 2; the last it said on stderr:\nabout to crash\n3\n"));
  }
  const auto time = run(words("time", directory / "c"));
  CHECK(time.has("0\n1\nerror: task 2 was still running after its task_timeout of 1 s"));
  CHECK(time.has("\n3\n"));
}

TEST_CASE("an element that ends without a result is an error with its job, and its output") {
  if (cluster() == nullptr) return;
  const TempDir directory;
  const auto ended = run(words("end", directory / "a"));
  INFO(ended.text);
  CHECK(ended.has("0\n1\nstate 0: task 2: its job "));
  CHECK(ended.has("ended without its result: FAILED"));
  CHECK(ended.has("; the last it said:\nabout to end\n3\n"));
}
