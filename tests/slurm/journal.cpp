// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "support/extended.hpp"
#include "support/slurm_programs.hpp"
#include "support/temp_dir.hpp"

// Job arrays: what ends in their midst, and what is left of them.

using namespace support;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

TEST_CASE("what somebody else cancels is an error, and a loop that fails cancels its elements") {
  if (cluster() == nullptr) return;
  const TempDir directory;
  CHECK(run(words("raise", directory / "a")).lines == Lines{"error: task 2 throws"});

  Daemon program(words("sleep", directory / "b"), directory / "log");
  const fs::path results = directory / "b/loop-1/results";
  await([&] {
    return fs::exists(results) && count_entries(results) == 3 &&
           run_command("squeue -h -t R").lines.size() == 1;
  });
  run_command("scancel --user=" + std::to_string(::getuid()));
  await([&] { return program.has_ended(); });
  CHECK(slurp(directory / "log").find("CANCELLED") != std::string::npos);
  check_all_gone();
}

TEST_CASE("a program that was killed goes on where it stopped, and runs nothing twice") {
  if (cluster() == nullptr) return;
  const TempDir directory;
  const fs::path marks = directory / "marks";
  const fs::path journal = directory / "journal";
  fs::create_directory(marks);
  const auto count = words("count", journal, {marks.string(), "0.5"});
  Daemon program(count, directory / "log");
  await([&] { return runs(marks).size() >= 3; });
  program.end(SIGKILL);
  // Elements go on meanwhile.
  std::this_thread::sleep_for(500ms);
  for (int i = 0; i < 2; ++i) {
    CHECK(run(count).lines == Lines{"sum 66"});
    const auto counts = runs(marks);
    CHECK(counts.size() == 12);
    for (const auto& [task, times] : counts) CHECK(times == 1);
  }
  // What an array was given is removed with its end.
  CHECK(files_in(journal / "loop-1/chunks").empty());
  CHECK(files_in(journal / "loop-1/jobs").empty());
}

TEST_CASE("a program that was killed before Slurm heard of its array submits it again") {
  if (cluster() == nullptr) return;
  const TempDir directory;
  const fs::path jobs = directory / "journal/loop-1/jobs";
  fs::create_directories(jobs);
  spill(jobs / "hoist-0123456789abcdef", "0-0123456789abcdef0123456789abcdef \n");
  CHECK(run(words("loop", directory / "journal")).lines == Lines{"sum 2470"});
}

TEST_CASE("elements on a node that dies run again elsewhere") {
  if (cluster() == nullptr) return;
  const TempDir directory;
  const fs::path marks = directory / "marks";
  fs::create_directory(marks);
  Daemon program(words("count", directory / "journal", {marks.string(), "1"}), directory / "log");
  await([&] { return !run_command("squeue -h -t R -w n4").lines.empty(); });
  cluster()->kill_node(4);
  await([&] { return program.has_ended(); });
  CHECK(slurp(directory / "log") == "sum 66\n");
  CHECK(runs(marks).size() == 12);
  check_all_gone();
}

TEST_CASE("files that are cut, changed, or of another build are errors that name them") {
  if (cluster() == nullptr) return;
  const TempDir directory;
  const fs::path journal = directory / "journal";
  run(words("loop", journal));
  const fs::path file = files_in(journal / "loop-1/results").front();
  const std::string whole = slurp(file);
  for (std::size_t at = 0; at < whole.size(); at += 37) {
    std::string changed = whole;
    changed[at] = static_cast<char>(changed[at] ^ 0x20);
    spill(file, at % 2 == 0 ? changed : whole.substr(0, at));
    const auto ended = run_command(joined(words("loop", journal)));
    CHECK(ended.code == 1);
    INFO(ended.text);
    CHECK(ended.has("error: \"" + file.string() + "\""));
    CHECK(ended.has("remove"));
  }
  fs::remove(file);
  CHECK(run(words("loop", journal)).lines == Lines{"sum 2470"});

  spill(journal / "build", "0123");
  const auto other = run(words("loop", journal));
  CHECK(other.code == 1);
  CHECK(other.has("another build of the program (build-id 0123 there"));
}

TEST_CASE("the time limit of an element" * doctest::skip(!extended)) {
  if (cluster() == nullptr) return;
  const TempDir directory;
  const auto ended = run_command(joined(words("sleep", directory / "a", {}, "TEST_TIME=1")), 200);
  INFO(ended.text);
  CHECK(ended.has("TIMEOUT"));
}
