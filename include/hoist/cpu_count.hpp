// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>

namespace hoist {

struct CpuCountOptions {
  /// Count cores rather than the hardware threads on them.
  bool only_physical = false;
};

/// How many processors this process may keep busy, at least 1: the least of its affinity mask, the
/// processor quotas of its control group and all groups above (cgroup v1 and v2, rounded up), and
/// HOIST_MAX_CPU_COUNT. Found anew by each call, in some 50 us. Thread-safe.
int cpu_count(const CpuCountOptions& options = {});

/// The same in words, a line for each limit and where it stands.
std::string explain_cpu_count();

}  // namespace hoist
