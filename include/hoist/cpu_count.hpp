// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/requirements.hpp>

#include <string>

namespace hoist {

/// Options of `cpu_count`.
struct CpuCountOptions {
  /// Count cores rather than the hardware threads on them.
  bool only_physical = false;
};

/// The number of processors this process may keep busy, at least 1. It is the minimum of the
/// affinity mask, of the processor quotas of the process's control group and all groups above it
/// (cgroup v1 and v2, rounded up), and of the environment variable HOIST_MAX_CPU_COUNT. Every call
/// reads them again, which takes about 50 us. Thread-safe.
[[nodiscard]] int cpu_count(const CpuCountOptions& options = {});

/// The same as text: one line per limit, with its value and where it was found, and one for each
/// backend whose worker hosts have joined this process: their machines and how many workers they
/// are for, which `n_jobs = -1` means there.
[[nodiscard]] std::string explain_cpu_count();

}  // namespace hoist
