// SPDX-License-Identifier: BSD-3-Clause
//
// Programs whose workers run the program instead: each started workers of its own, which did the
// same.
#include <doctest/doctest.h>
#include <sys/wait.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "support/temp_dir.hpp"

namespace {

struct Ended {
  int exit_code = -1;
  std::uintmax_t starts = 0;
  std::string errors;
};

Ended run(const std::string& program) {
  const support::TempDir directory;
  const auto starts = directory / "starts";
  const auto errors = directory / "errors";
  const std::string command = "HOIST_TEST_STARTS='" + starts.string() + "' timeout 60 '" +
                              HOIST_BIN_DIR "/" + program + "' 2> '" + errors.string() + "'";
  const int status = std::system(command.c_str());
  Ended ended;
  if (WIFEXITED(status)) ended.exit_code = WEXITSTATUS(status);
  ended.starts = std::filesystem::file_size(starts);
  ended.errors = support::slurp(errors);
  return ended;
}

void check(const Ended& ended, int exit_code) {
  CAPTURE(ended.errors);
  CHECK(ended.exit_code == exit_code);
  // The program, its workers, and the attempts to replace these.
  CHECK(ended.starts >= 2);
  CHECK(ended.starts < 12);
  CHECK(ended.errors.find("would start workers") != std::string::npos);
  CHECK(ended.errors.find("worker_main") != std::string::npos);
}

}  // namespace

TEST_CASE("a library with hoist in a program without doesn't start workers that start workers") {
  check(run("plain_host"), 1);
}

TEST_CASE("a spawn loop before main doesn't start workers that start workers") {
  // The error is caught there, so the workers come to be what they are.
  check(run("loop_before_main"), 0);
}
