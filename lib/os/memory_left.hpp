// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <filesystem>

namespace hoist::detail::os {

/// About how much memory this process can still fill before the system ends processes: what the
/// machine has available, and what the control groups (v1 and v2) on the process's path leave. Some
/// 100 us. `root` stands before /proc and /sys, for tests. What can't be read limits nothing.
std::uint64_t memory_left(const std::filesystem::path& root = "/");

}  // namespace hoist::detail::os
