// SPDX-License-Identifier: BSD-3-Clause
//
// Programs without hoist that load a library with hoist in it: workers run hoist-worker. And
// programs whose workers run the program instead: each started workers of its own, which did the
// same.
#include <dlfcn.h>
#include <doctest/doctest.h>
#include <sys/wait.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "support/child_program.hpp"
#include "support/sanitized.hpp"
#include "support/temp_dir.hpp"

namespace {

struct Ended {
  int exit_code = -1;
  std::uintmax_t starts = 0;
  std::string output;
  std::string errors;
};

/// Runs a command line; `variables` are NAME=value ....
Ended run(const std::string& command_line, const std::string& variables = {}) {
  const support::TempDir directory;
  const auto starts = directory / "starts";
  const auto output = directory / "output";
  const auto errors = directory / "errors";
  const std::string command = "HOIST_TEST_STARTS='" + starts.string() + "' " + variables +
                              " /usr/bin/timeout 60 '" HOIST_BIN_DIR "'/" + command_line + " > '" +
                              output.string() + "' 2> '" + errors.string() + "'";
  const int status = std::system(command.c_str());
  Ended ended;
  if (WIFEXITED(status)) ended.exit_code = WEXITSTATUS(status);
  ended.starts = std::filesystem::file_size(starts);
  ended.output = support::slurp(output);
  ended.errors = support::slurp(errors);
  return ended;
}

const std::string worker = "HOIST_WORKER='" HOIST_BIN_DIR "/hoist-worker'";

Ended run_host(const std::string& loop, const std::string& variables = worker,
               const std::filesystem::path& plugin = HOIST_BIN_DIR "/plugin.so") {
  return run("plain_host '" + plugin.string() + "' " + loop, variables);
}

void check_gone(const std::string& pids) {
  std::istringstream lines(pids);
  std::size_t count = 0;
  for (int pid = 0; lines >> pid; ++count) {
    CAPTURE(pid);
    CHECK(support::is_gone(pid));
  }
  CHECK(count > 0);
}

/// The loop fails soon, with the words, and the program was started only once.
void check_refused(const std::string& variables, const std::string& words,
                   const std::filesystem::path& plugin = HOIST_BIN_DIR "/plugin.so") {
  CAPTURE(variables);
  const auto start = std::chrono::steady_clock::now();
  const Ended ended = run_host("results", variables, plugin);
  CAPTURE(ended.errors);
  CHECK(ended.exit_code == 1);
  CHECK(ended.starts == 1);
  CHECK(ended.errors.find(words) != std::string::npos);
  CHECK(ended.errors.find("hoist-worker") != std::string::npos);
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(5));
}

}  // namespace

TEST_CASE("a library with hoist in a program without has workers that run hoist-worker") {
  const Ended ended = run_host("results");
  CAPTURE(ended.errors);
  CHECK(ended.exit_code == 0);
  CHECK(ended.starts == 1);
  CHECK(ended.errors.empty());
  check_gone(ended.output);
}

TEST_CASE("hoist-worker is found on PATH") {
  CHECK(run_host("results", "PATH='/nowhere:" HOIST_BIN_DIR "'").exit_code == 0);
}

TEST_CASE("errors of tasks and deaths of workers that run hoist-worker arrive") {
  const Ended errors = run_host("errors");
  CAPTURE(errors.errors);
  CHECK(errors.exit_code == 0);
  // The stack of the throw. A sanitizer's __cxa_throw comes before the library's.
  if (!support::sanitized) CHECK(errors.output.find("run_errors") != std::string::npos);
  const Ended deaths = run_host("deaths");
  CAPTURE(deaths.errors);
  CHECK(deaths.exit_code == 0);
  check_gone(deaths.output);
}

TEST_CASE("workers that run hoist-worker have no functions of the program, and say so") {
  const Ended ended = run_host("of_host");
  CAPTURE(ended.errors);
  CHECK(ended.exit_code == 0);
  CHECK(ended.errors.find("not those of the program") != std::string::npos);
}

TEST_CASE("a missing or wrong hoist-worker is an error that says so") {
  const support::TempDir directory;
  const auto in_directory = [&](const char* name) { return (directory / name).string(); };
  check_refused("HOIST_WORKER='" + in_directory("none") + "'", "HOIST_WORKER names");
  check_refused("HOIST_WORKER=/bin/true", "\"/bin/true\" may not be hoist's program");
  std::ofstream(in_directory("text")) << "no program\n";
  std::filesystem::permissions(in_directory("text"), std::filesystem::perms::owner_all);
  check_refused("HOIST_WORKER='" + in_directory("text") + "'", "as the hoist-worker");
  std::filesystem::copy(HOIST_BIN_DIR "/plugin.so", in_directory("plugin.so"));
  check_refused("PATH='" + in_directory("") + "'", "put it beside the library",
                in_directory("plugin.so"));
}

TEST_CASE(
    "a library with a hoist of its own has workers that run the program, if that has hoist, too") {
  void* const plugin = ::dlopen(HOIST_BIN_DIR "/plugin.so", RTLD_NOW | RTLD_LOCAL);
  REQUIRE(plugin != nullptr);
  using Run = int (*)(const char*, int (*)(int));
  ::setenv("HOIST_WORKER", "/nowhere", 1);
  CHECK(reinterpret_cast<Run>(::dlsym(plugin, "run_loop"))("deaths", nullptr) == 0);
  ::unsetenv("HOIST_WORKER");
}

TEST_CASE("hoist-worker started by hand says what it is for") {
  const support::TempDir directory;
  const auto said = (directory / "said").string();
  const std::string command = HOIST_BIN_DIR "/hoist-worker 2> '" + said + "'";
  const int status = std::system(command.c_str());
  CHECK(WEXITSTATUS(status) == 2);
  CHECK(support::slurp(said).find("docs/guide/workers.md") != std::string::npos);
}

TEST_CASE("a spawn loop before main doesn't start workers that start workers") {
  // The error is caught there, so the workers come to be what they are.
  const Ended ended = run("loop_before_main");
  CAPTURE(ended.errors);
  CHECK(ended.exit_code == 0);
  // The program, its workers, and the attempts to replace these.
  CHECK(ended.starts >= 2);
  CHECK(ended.starts < 12);
  CHECK(ended.errors.find("would start workers") != std::string::npos);
  CHECK(ended.errors.find("worker_main") != std::string::npos);
}

TEST_CASE("a program without hoist starts processes of the library it has loaded") {
  const Ended ended = run_host("processes");
  CAPTURE(ended.errors);
  CHECK(ended.exit_code == 0);
  CHECK(ended.starts == 1);
  const Ended refused = run_host("process_of_host");
  CAPTURE(refused.errors);
  CHECK(refused.exit_code == 0);
  CHECK(refused.errors.find("hoist-worker") != std::string::npos);
}

TEST_CASE("a process before main doesn't start processes that start processes") {
  const Ended ended = run("process_before_main");
  CAPTURE(ended.errors);
  CHECK(ended.exit_code == 0);
  CHECK(ended.starts == 2);
  CHECK(ended.errors.find("would start workers") != std::string::npos);
}
