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

namespace {

/// Commands in a directory that say what these shell commands do. Returns the search path with it.
std::string make_false_slurm(const fs::path& directory, const std::string& sbatch,
                             const std::string& squeue) {
  fs::create_directory(directory);
  const auto make = [&](const char* name, const std::string& body) {
    spill(directory / name, "#!/bin/sh\n" + body + "\n");
    fs::permissions(directory / name, fs::perms::owner_all);
  };
  make("sbatch", sbatch);
  make("squeue", squeue);
  make("scancel", "exit 0");
  return "PATH=" + directory.string() + ":" + std::string(std::getenv("PATH"));
}

}  // namespace

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

TEST_CASE("how Slurm says that a job has ended is told as it says") {
  const TempDir directory;
  const std::string path =
      make_false_slurm(directory / "bin", "echo 7", "echo \"7|0|$FALSE_STATE|n9|None\"");
  const std::pair<std::string, int> states[] = {{"FAILED", 0},    {"TIMEOUT", 1},
                                                {"DEADLINE", 1},  {"OUT_OF_MEMORY", 2},
                                                {"CANCELLED", 5}, {"COMPLETED", 0}};
  std::vector<Daemon> programs;
  for (const auto& [name, number] : states) {
    auto command = words("one", directory / name, {}, path);
    command.insert(command.begin() + 1, "FALSE_STATE=" + name);
    programs.emplace_back(command, directory / (name + ".log"));
  }
  for (std::size_t i = 0; i < programs.size(); ++i) {
    await([&] { return programs[i].has_ended(); });
    const auto& [name, number] = states[i];
    const std::string said = slurp(directory / (name + ".log"));
    INFO(said);
    CHECK(said.find("state " + std::to_string(number) + ": task 0: its job 7_0 on n9 ended ") == 0);
    CHECK(said.find(": " + name) != std::string::npos);
  }
}

TEST_CASE("an array that Slurm has taken without an answer is not submitted again") {
  const TempDir directory;
  const fs::path submitted = directory / "submitted";
  const fs::path asked = directory / "asked";
  const std::string path = make_false_slurm(
      directory / "bin",
      "echo >>" + submitted.string() + "; echo Unable to contact the controller >&2; exit 1",
      "echo >>" + asked.string() + "; [ $(wc -l <" + asked.string() +
          ") -gt 1 ] && echo '7|0|TIMEOUT|n9|None'");
  Daemon program(words("one", directory / "journal", {}, path), directory / "log");
  await([&] { return slurp(asked).size() >= 2; });
  await([&] { return program.has_ended(); });
  INFO(slurp(directory / "log"));
  CHECK(slurp(directory / "log").find("state 1: task 0: its job 7_0 on n9 ended ") !=
        std::string::npos);
  CHECK(slurp(submitted) == "\n");
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
  await([&] { return run_command("squeue -h -t R -w n4").lines.size() > 0; });
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
