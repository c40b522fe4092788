// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "support/slurm_programs.hpp"
#include "support/temp_dir.hpp"

// What a real cluster says too rarely to wait for.

using namespace support;
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

TEST_CASE("jobs have their names, whatever the environment says") {
  const TempDir directory;
  const fs::path told = directory / "told";
  const std::string path =
      make_false_slurm(directory / "bin", "echo \"$@\" >" + told.string() + "; echo 7",
                       "echo '7|0|TIMEOUT|n9|None'");
  const Daemon program(words("one", directory / "journal", {}, path), directory / "log");
  await([&] { return fs::exists(told) && !slurp(told).empty(); });
  INFO(slurp(told));
  CHECK(slurp(told).find("--job-name=hoist-") != std::string::npos);
}

TEST_CASE("what the options say holds, whatever the environment says") {
  const TempDir directory;
  const fs::path told = directory / "told";
  const fs::path asked = directory / "asked";
  const std::string list = "env | grep -E '^S(BATCH|QUEUE)_' | sort >";
  const std::string path = make_false_slurm(directory / "bin", list + told.string() + "; echo 7",
                                            list + asked.string() + "; echo '7|0|TIMEOUT|n9|None'");
  auto command = words("one", directory / "journal", {}, path);
  const std::vector<std::string> variables = {"TEST_PARTITION=here", "SBATCH_PARTITION=elsewhere",
                                              "SBATCH_ARRAY_INX=3", "SBATCH_ACCOUNT=users",
                                              "SQUEUE_PARTITION=elsewhere"};
  command.insert(command.begin() + 1, variables.begin(), variables.end());
  Daemon program(command, directory / "log");
  await([&] { return program.has_ended(); });
  // The account was left out.
  CHECK(slurp(told) == "SBATCH_ACCOUNT=users\nSQUEUE_PARTITION=elsewhere\n");
  CHECK(slurp(asked).find("SQUEUE_") == std::string::npos);
}

TEST_CASE("arrays have no more elements than Slurm takes as it is installed") {
  const TempDir directory;
  const fs::path told = directory / "told";
  const std::string path = make_false_slurm(
      directory / "bin", "for script; do :; done; grep array= $script >>" + told.string(),
      "echo '7|0|RUNNING|n9|None'");
  Daemon program(words("many", directory / "journal", {}, path), directory / "log");
  await([&] { return fs::exists(told) && slurp(told).find("=0-0\n") != std::string::npos; });
  CHECK(slurp(told) == "#SBATCH --array=0-999\n#SBATCH --array=0-0\n");
  program.end(SIGKILL);
}

TEST_CASE("a program whose file is gone, and a host without its directory, say so") {
  const TempDir directory;
  const std::string copy = (directory / "program").string();
  fs::copy_file(HOIST_TEST_PROGRAM, copy);
  const std::string path = make_false_slurm(directory / "bin", "echo 7", "exit 0");
  const auto removed =
      run_command("sh -c 'exec 3<" + copy + "; rm " + copy + "; exec env HOIST_BACKEND=slurm " +
                  path + " /proc/self/fd/3 one " + (directory / "a").string() + "'");
  INFO(removed.text);
  CHECK(removed.has("was removed or replaced since the program began"));

  const auto host = run_command("env HOIST_SLURM_HOST=/nowhere/messages " HOIST_TEST_PROGRAM);
  INFO(host.text);
  CHECK(host.code == 1);
  CHECK(host.has("\"/nowhere/messages\" is not on "));
}

TEST_CASE("two runs of a program are not in one loop of a journal at once") {
  const TempDir directory;
  const std::string path =
      make_false_slurm(directory / "bin", "echo 7", "echo '7|0|RUNNING|n9|None'");
  Daemon first(words("one", directory / "journal", {}, path), directory / "log");
  await([&] { return fs::exists(directory / "journal/loop-1/lock"); });
  const auto second = run_command(joined(words("one", directory / "journal", {}, path)), 20);
  CHECK(second.has("another run of the program is in this loop now"));
  first.end(SIGKILL);
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
