// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "support/extended.hpp"
#include "support/slurm_cluster.hpp"
#include "support/temp_dir.hpp"

// Job arrays of the program in program/: what its loops return, and what is left of them.

namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using support::CommandOutput;
using support::SlurmCluster;
using Lines = std::vector<std::string>;

/// Of all tests of this file; none where Slurm is not installed.
SlurmCluster* cluster() {
  static const bool is_installed = SlurmCluster::is_installed();
  if (!is_installed) {
    MESSAGE("skipped: Slurm is not installed (tools/setup --cluster)");
    return nullptr;
  }
  static SlurmCluster the_cluster;
  return &the_cluster;
}

std::string command(const std::string& what, const fs::path& journal,
                    const std::string& more = "") {
  return "env HOIST_BACKEND=slurm " HOIST_TEST_PROGRAM " " + what + " '" + journal.string() + "' " +
         more;
}

/// Nothing is left of a program that has ended: neither jobs, which Slurm completes in its own time,
/// nor processes.
void check_all_gone() {
  const auto left = [] { return SlurmCluster::processes(HOIST_TEST_PROGRAM) + cluster()->jobs(); };
  for (int i = 0; i < 200 && left() > 0; ++i) std::this_thread::sleep_for(50ms);
  CHECK(left() == 0);
}

CommandOutput run(const std::string& what, const fs::path& journal, const std::string& more = "") {
  CommandOutput ended = support::run_command(command(what, journal, more));
  INFO(what, " ended with ", ended.code, ": ", ended.text);
  CHECK(ended.code != 124);
  check_all_gone();
  return ended;
}

/// A program that the test ends.
support::Daemon start(const std::string& what, const fs::path& journal, const std::string& more,
                      const fs::path& log) {
  return support::Daemon(
      {"env", "HOIST_BACKEND=slurm", HOIST_TEST_PROGRAM, what, journal.string(), more, "0.5"},
      log.string());
}

void await(const std::function<bool()>& condition) {
  for (int i = 0; i < 1000 && !condition(); ++i) std::this_thread::sleep_for(20ms);
  REQUIRE(condition());
}

/// How often each task has run, by the marks that it leaves.
std::map<std::string, int> runs(const fs::path& marks) {
  std::map<std::string, int> counts;
  for (const auto& entry : fs::directory_iterator(marks)) {
    const std::string name = entry.path().filename();
    ++counts[name.substr(0, name.find('.'))];
  }
  return counts;
}

std::vector<fs::path> files_below(const fs::path& directory) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(directory)) files.push_back(entry.path());
  return files;
}

}  // namespace

TEST_CASE("loops have the results that they have on threads, and large arguments go along") {
  if (cluster() == nullptr) return;
  const support::TempDir directory;
  CHECK(run("loop", directory / "a").lines == Lines{"sum 2470"});
  CHECK(run("arrays", directory / "b").lines == Lines{"total 274877382656", "total 274877382657",
                                                      "total 274877382658", "made 524288 0",
                                                      "made 524288 100", "made 524288 200"});
}

TEST_CASE("tasks that throw, crash and take too long cost a task") {
  if (cluster() == nullptr) return;
  const support::TempDir directory;
  CHECK(run("throw", directory / "a").lines == Lines{"0", "1", "out of range: task 2 throws", "3"});
  for (const std::string what : {"crash", "crash_in_batch"}) {
    const auto crash = run(what, directory / what);
    CHECK(crash.has("0\n1\ndied 11: "));
    CHECK(crash.has("while it ran task 2; the last it said on stderr:\nabout to crash\n3\n"));
  }
  const auto time = run("time", directory / "c");
  CHECK(time.has("0\n1\nerror: task 2 was still running after its task_timeout of 1 s"));
  CHECK(time.has("\n3\n"));
}

TEST_CASE("an element that ends without a result is an error with its job, and its output") {
  if (cluster() == nullptr) return;
  const support::TempDir directory;
  const auto ended = run("end", directory / "a");
  INFO(ended.text);
  CHECK(ended.has("0\n1\nstate 0: task 2: its job "));
  CHECK(ended.has("ended without its result: FAILED"));
  CHECK(ended.has("; the last it said:\nabout to end\n3\n"));
}

TEST_CASE("what somebody else cancels is an error, and a loop that fails cancels its elements") {
  if (cluster() == nullptr) return;
  const support::TempDir directory;
  CHECK(run("raise", directory / "a").lines == Lines{"error: task 2 throws"});

  auto program = start("sleep", directory / "b", "", directory / "log");
  const auto running = [] { return support::run_command("squeue -h -t R").lines.size() == 1; };
  await([&] {
    return fs::exists(directory / "b/loop-1/results") &&
           support::count_entries(directory / "b/loop-1/results") >= 3 && running();
  });
  support::run_command("scancel --user=" + std::to_string(::getuid()));
  await([&] { return program.has_ended(); });
  CHECK(support::slurp(directory / "log").find("CANCELLED") != std::string::npos);
  check_all_gone();
}

TEST_CASE("a program that was killed goes on where it stopped, and runs nothing twice") {
  if (cluster() == nullptr) return;
  const support::TempDir directory;
  const fs::path marks = directory / "marks";
  const fs::path journal = directory / "journal";
  fs::create_directory(marks);
  auto program = start("count", journal, marks.string(), directory / "log");
  await([&] { return runs(marks).size() >= 3; });
  program.end(SIGKILL);
  // Elements go on meanwhile.
  std::this_thread::sleep_for(500ms);
  for (int i = 0; i < 2; ++i) {
    CHECK(run("count", journal, marks.string() + " 0.5").lines == Lines{"sum 66"});
    const auto counts = runs(marks);
    CHECK(counts.size() == 12);
    for (const auto& [task, count] : counts) CHECK(count == 1);
  }
  // What an array was given is removed with its end.
  CHECK(files_below(journal / "loop-1/chunks").empty());
  CHECK(files_below(journal / "loop-1/jobs").empty());
}

TEST_CASE("a program that was killed before Slurm heard of its array submits it again") {
  if (cluster() == nullptr) return;
  const support::TempDir directory;
  const fs::path jobs = directory / "journal/loop-1/jobs";
  fs::create_directories(jobs);
  support::spill(jobs / "hoist-0123456789abcdef", "0-0123456789abcdef0123456789abcdef \n");
  CHECK(run("loop", directory / "journal").lines == Lines{"sum 2470"});
}

TEST_CASE("elements on a node that dies run again elsewhere") {
  if (!SlurmCluster::is_installed()) return;
  cluster();
  const support::TempDir directory;
  const fs::path marks = directory / "marks";
  fs::create_directory(marks);
  auto program = support::Daemon({"env", "HOIST_BACKEND=slurm", HOIST_TEST_PROGRAM, "count",
                                  (directory / "journal").string(), marks.string(), "2"},
                                 (directory / "log").string());
  const auto on_4 = [] { return support::run_command("squeue -h -t R -w n4").lines.size(); };
  await([&] { return on_4() > 0; });
  cluster()->kill_node(4);
  await([&] { return program.has_ended(); });
  CHECK(support::slurp(directory / "log") == "sum 66\n");
  CHECK(runs(marks).size() == 12);
  check_all_gone();
}

TEST_CASE("files that are cut, changed, or of another build are errors that name them") {
  if (cluster() == nullptr) return;
  const support::TempDir directory;
  const fs::path journal = directory / "journal";
  run("loop", journal);
  const fs::path file = files_below(journal / "loop-1/results").front();
  const std::string whole = support::slurp(file);
  for (std::size_t at = 0; at < whole.size(); at += 37) {
    std::string changed = whole;
    changed[at] = static_cast<char>(changed[at] ^ 0x20);
    support::spill(file, at % 2 == 0 ? changed : whole.substr(0, at));
    const auto ended = support::run_command(command("loop", journal));
    CHECK(ended.code == 1);
    INFO(ended.text);
    CHECK(ended.has("error: \"" + file.string() + "\""));
    CHECK(ended.has("remove"));
  }
  fs::remove(file);
  CHECK(run("loop", journal).lines == Lines{"sum 2470"});

  support::spill(journal / "build", "0123");
  const auto other = run("loop", journal);
  CHECK(other.code == 1);
  CHECK(other.has("another build of the program (build-id 0123 there"));
}

TEST_CASE("the time limit of an element" * doctest::skip(!support::extended)) {
  if (cluster() == nullptr) return;
  const support::TempDir directory;
  ::setenv("TEST_TIME", "1", 1);
  const auto ended = support::run_command(command("sleep", directory / "a"), 200);
  ::unsetenv("TEST_TIME");
  INFO(ended.text);
  CHECK(ended.has("TIMEOUT"));
}
