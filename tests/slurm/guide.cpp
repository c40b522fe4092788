// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>

#include <chrono>
#include <filesystem>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "support/slurm_programs.hpp"
#include "support/temp_dir.hpp"

// The commands of docs/guide/cluster.md, as they stand there.

using namespace support;
namespace fs = std::filesystem;

namespace {

/// The lines of shell blocks of a section, up to the next of its level.
std::vector<std::string> commands(const std::string& section) {
  std::istringstream guide(slurp(HOIST_SOURCE_DIR "/docs/guide/cluster.md"));
  std::vector<std::string> found;
  bool is_here = false;
  bool is_shell = false;
  for (std::string line; std::getline(guide, line);) {
    if (line.starts_with("## ")) is_here = line == "## " + section;
    if (line.starts_with("```")) {
      is_shell = line == "```sh";
    } else if (is_here && is_shell) {
      found.push_back(line);
    }
  }
  return found;
}

}  // namespace

TEST_CASE("the guide's commands do what it says") {
  if (cluster() == nullptr) return;
  const TempDir directory;
  fs::create_symlink(HOIST_TEST_PROGRAM, directory / "app");
  int n = 0;
  for (const std::string& line : commands("Slurm")) {
    if (line.find("HOIST_WORKER") != std::string::npos) continue;  // needs a server: tests/redis
    spill(directory / "command", line);
    const auto ended = run_command("sh -c 'cd " + directory.path().string() + " && . ./command'");
    INFO(line, ": ", ended.text);
    CHECK(ended.code == 0);
    std::string said = ended.text;
    for (const fs::path& file : files_in(directory.path())) {
      if (file.filename().string().starts_with("slurm-")) said += slurp(file);
    }
    CHECK(said.find("sum 2470\n") != std::string::npos);
    check_all_gone();
    for (const fs::path& file : files_in(directory.path())) {
      const std::string name = file.filename();
      CHECK_FALSE(name.starts_with("hoist-"));
      if (name.starts_with("slurm-")) fs::remove(file);
    }
    ++n;
  }
  CHECK(n == 3);
}
