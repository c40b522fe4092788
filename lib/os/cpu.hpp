// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace hoist::detail::os {

/// What hoist::cpu_count() says, but with the limits that are found in files (control groups) looked
/// up once a second at most: 1 us.
int usable_cores();

/// An equal share of usable_cores() for each of so many, at least 1. Control groups are looked up only where
/// there would be more than one core for each without them: a program's first look takes 0.2 ms.
unsigned usable_cores_each(unsigned shares);

/// The numbers of the processors that the calling thread may run on, in order.
std::vector<int> affinity();

/// Moves the calling thread to one of them. It is free to be moved again. For forked children, too, whose errors
/// must not run on into what their parent was doing: so none is thrown.
void move_to_processor(int number) noexcept;

/// One reason not to use more processors.
struct CpuLimit {
  int cpus;
  std::string where;
};

/// The quotas on a process's path of control groups, v1 and v2. `root` stands before /proc and /sys,
/// for tests. What can't be understood limits nothing.
std::vector<CpuLimit> cgroup_limits(const std::filesystem::path& root = "/");

}  // namespace hoist::detail::os
