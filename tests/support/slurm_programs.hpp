// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <doctest/doctest.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "support/slurm_cluster.hpp"

// The program in tests/slurm/program on a cluster that the tests of a file share.

namespace support {

using Lines = std::vector<std::string>;

/// In the environment: how many worker hosts the program asks for outside of an allocation.
inline constexpr const char* two_hosts = "TEST_HOSTS=2";
/// Before a command: an allocation.
inline const std::string inside = "salloc --quiet --nodes=4 --exclusive ";

/// None where Slurm is not installed.
inline SlurmCluster* cluster() {
  static const bool is_installed = SlurmCluster::is_installed();
  if (!is_installed) {
    MESSAGE("skipped: Slurm is not installed (tools/setup --cluster)");
    return nullptr;
  }
  static SlurmCluster the_cluster;
  return &the_cluster;
}

/// Nothing is left of a program that has ended: neither jobs nor processes.
inline void check_all_gone() {
  for (int i = 0; i < 1000 && SlurmCluster::processes(HOIST_TEST_PROGRAM) > 0; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  CHECK(SlurmCluster::processes(HOIST_TEST_PROGRAM) == 0);
  for (int i = 0; i < 200 && cluster()->jobs() > 0; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  CHECK(cluster()->jobs() == 0);
}

/// Words of a command: what the program does, its directory, and the rest.
inline std::vector<std::string> words(const std::string& what,
                                      const std::filesystem::path& directory,
                                      const std::vector<std::string>& more = {},
                                      const std::string& environment = "HOIST_BACKEND=slurm") {
  std::vector<std::string> all{"env", "HOIST_BACKEND=slurm", environment, HOIST_TEST_PROGRAM,
                               what,  directory.string()};
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

inline std::string joined(const std::vector<std::string>& words) {
  std::string line;
  for (const std::string& word : words) line += (line.empty() ? "'" : " '") + word + "'";
  return line;
}

/// Runs it to its end; `before` is a command that runs it.
inline CommandOutput run(const std::vector<std::string>& words, const std::string& before = "") {
  CommandOutput ended = run_command(before + joined(words));
  INFO(joined(words), " ended with ", ended.code, ": ", ended.text);
  CHECK(ended.code != 124);
  check_all_gone();
  return ended;
}

inline void await(const std::function<bool()>& condition) {
  for (int i = 0; i < 3000 && !condition(); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  REQUIRE(condition());
}

/// How often each task has run, by the marks that it leaves.
inline std::map<std::string, int> runs(const std::filesystem::path& marks) {
  std::map<std::string, int> counts;
  for (const auto& entry : std::filesystem::directory_iterator(marks)) {
    const std::string name = entry.path().filename();
    ++counts[name.substr(0, name.find('.'))];
  }
  return counts;
}

inline std::vector<std::filesystem::path> files_in(const std::filesystem::path& directory) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    files.push_back(entry.path());
  }
  return files;
}

}  // namespace support
