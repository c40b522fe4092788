// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "support/slurm_programs.hpp"
#include "support/temp_dir.hpp"

// Worker hosts that Slurm starts: inside an allocation, and by an array of the program itself.

using namespace support;
namespace fs = std::filesystem;

TEST_CASE("loops have the results that they have on threads, inside an allocation and outside") {
  if (cluster() == nullptr) return;
  const TempDir directory;
  for (const std::string& before : {std::string(), inside}) {
    CHECK(run(words("loop", directory / "a", {}, two_hosts), before).lines == Lines{"sum 2470"});
    CHECK(run(words("nodes", directory / "a", {"20"}, two_hosts), before)
              .has(before.empty() ? "20 tasks on " : "20 tasks on 4 nodes"));
    CHECK(run(words("arrays", directory / "a", {}, two_hosts), before).lines ==
          Lines{"total 274877382656", "total 274877382657", "total 274877382658", "made 524288 0",
                "made 524288 100", "made 524288 200"});
    CHECK(run(words("nothing", directory / "a", {}, two_hosts), before).lines == Lines{"nothing"});
    CHECK(run(words("throw", directory / "a", {}, two_hosts), before).lines ==
          Lines{"0", "1", "out of range: task 2 throws", "3"});
    CHECK(run(words("crash", directory / "a", {}, two_hosts), before)
              .has("while it ran task 2; the last it said on stderr:\nabout to crash\n3\n"));
    // Messages were between processes that are no more.
    CHECK(count_entries(directory / "a") == 0);
  }
}

TEST_CASE("to ask for no hosts is an error") {
  const TempDir directory;
  const auto ended = run_command(joined(words("loop", directory / "a", {}, "TEST_HOSTS=0")), 20);
  CHECK(ended.code == 1);
  CHECK(ended.has("SlurmOptions::hosts is 0"));
}

TEST_CASE("directories have any name that Slurm can be told") {
  if (cluster() == nullptr) return;
  const TempDir directory;
  const fs::path odd = directory / "100%j \"b";
  CHECK(run(words("loop", odd / "launcher", {}, two_hosts)).lines == Lines{"sum 2470"});
  CHECK(run(words("loop", odd / "array")).lines == Lines{"sum 2470"});
  for (const std::string& environment : {std::string(two_hosts), std::string("A=1")}) {
    CHECK(run(words("loop", directory / "a\\b", {}, environment)).has("without backslashes"));
  }
}

TEST_CASE("a host that comes in the middle of a loop gets tasks of it") {
  if (cluster() == nullptr) return;
  const TempDir directory;
  Daemon program(words("nodes", directory / "a", {"60"}, "TEST_HOSTS=1"), directory / "log");
  const auto messages = [&] {
    return fs::exists(directory / "a") && count_entries(directory / "a") == 1
               ? files_in(directory / "a").front() / "messages"
               : fs::path();
  };
  await([&] { return run_command("squeue -h -t R").lines.size() == 1; });
  const std::string node = run_command("squeue -h -t R -o %N").lines.at(0);
  const auto late =
      run_command("env HOIST_SLURM_HOST='" + messages().string() +
                  "' srun --quiet --exclude=" + node + " -n1 -c2 " HOIST_TEST_PROGRAM);
  await([&] { return program.has_ended(); });
  CHECK(slurp(directory / "log") == "60 tasks on 2 nodes\n");
  check_all_gone();
}

TEST_CASE("a cluster that can't start hosts is an error that says why") {
  if (cluster() == nullptr) return;
  const TempDir directory;
  const auto refused =
      run(words("loop", directory / "a", {}, "TEST_PARTITION=nowhere"), "env TEST_HOSTS=1 ");
  CHECK(refused.code == 1);
  INFO(refused.text);
  CHECK(refused.has("error: the backend \"slurm\" has no worker hosts: sbatch refused "));
  CHECK(refused.has("partition"));
  CHECK(count_entries(directory / "a") == 0);
}
