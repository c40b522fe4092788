// SPDX-License-Identifier: BSD-3-Clause
#include "os/memory_left.hpp"

#include <algorithm>
#include <fstream>
#include <limits>
#include <optional>
#include <string>

namespace hoist::detail::os {

namespace {

constexpr std::uint64_t unlimited = std::numeric_limits<std::uint64_t>::max();

std::optional<std::uint64_t> number_in(const std::filesystem::path& file) {
  std::ifstream in(file);
  std::uint64_t number = 0;
  if (!(in >> number)) return std::nullopt;  // also "max"
  return number;
}

/// Of lines "name value" or "name: value kB".
std::uint64_t field(const std::filesystem::path& file, const std::string& name) {
  std::ifstream in(file);
  for (std::string word; in >> word;) {
    std::uint64_t value = 0;
    if (word == name && in >> value) return value;
  }
  return 0;
}

std::uint64_t group_leaves(const std::filesystem::path& group, bool v2) {
  const auto limit = number_in(group / (v2 ? "memory.max" : "memory.limit_in_bytes"));
  const auto used = number_in(group / (v2 ? "memory.current" : "memory.usage_in_bytes"));
  if (!limit || !used) return unlimited;
  // Pages of files that nobody uses make way.
  const std::uint64_t idle =
      field(group / "memory.stat", v2 ? "inactive_file" : "total_inactive_file");
  const std::uint64_t taken = *used - std::min(*used, idle);
  return *limit - std::min(*limit, taken);
}

}  // namespace

std::uint64_t memory_left(const std::filesystem::path& root) {
  const auto meminfo = root / "proc/meminfo";
  const std::uint64_t machine = field(meminfo, "MemAvailable:") + field(meminfo, "SwapFree:");
  std::uint64_t left = machine > 0 ? machine * 1024 : unlimited;
  std::ifstream groups(root / "proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    const auto first = line.find(':');
    const auto second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
    const bool v2 = controllers == ",,";
    if (!v2 && controllers.find(",memory,") == std::string::npos) continue;
    const std::filesystem::path mount = root / (v2 ? "sys/fs/cgroup" : "sys/fs/cgroup/memory");
    std::filesystem::path group = std::filesystem::path(line.substr(second + 1)).relative_path();
    for (;;) {
      left = std::min(left, group_leaves(mount / group, v2));
      if (group.empty()) break;
      group = group.parent_path();
    }
  }
  return left;
}

}  // namespace hoist::detail::os
