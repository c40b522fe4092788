// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace hoist::detail {

/// What hoist::cpu_count() says, but with the limits that are found in files (control groups) looked
/// up once a second at most: 1 us.
int usable_cores();

/// One reason not to use more processors.
struct CpuLimit {
  int cpus;
  std::string where;
};

/// The quotas on a process's path of control groups, v1 and v2. `root` stands before /proc and /sys,
/// for tests. What can't be understood limits nothing.
std::vector<CpuLimit> cgroup_limits(const std::filesystem::path& root = "/");

}  // namespace hoist::detail
