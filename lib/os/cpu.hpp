// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace hoist::detail::os {

/// As hoist::cpu_count(), but reads the limits in files (control groups) at most once a second:
/// 1 us.
int usable_cores();

/// usable_cores() divided by `shares`, at least 1. Reads control groups only where there is more
/// than one core per share without them: a program's first look takes 0.2 ms.
unsigned usable_cores_each(unsigned shares);

/// The numbers of the processors that the calling thread may run on, in order.
std::vector<int> affinity();

/// Adds to what explain_cpu_count() says: a line on the processors of other machines. Thread-safe.
void explain_with(std::function<std::string()> line);

/// Moves the calling thread to one of them, which the system may undo. Errors are ignored: an
/// exception in a forked child would continue with what its parent was doing.
void move_to_processor(int number) noexcept;

/// A limit on the number of processors, and where it was found.
struct CpuLimit {
  int cpus;
  std::string where;
};

/// The quotas of the process's control groups, v1 and v2. `root` is put before /proc and all
/// mounts, for tests. Files that can't be understood limit nothing.
std::vector<CpuLimit> cgroup_limits(const std::filesystem::path& root = "/");

}  // namespace hoist::detail::os
