// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <filesystem>

namespace hoist::detail::os {

/// About how much memory this process can still use before the kernel kills processes: the least of
/// what the machine has available and what the process's control groups (v1 and v2) leave. Costs
/// some 100 us. `root` is put before /proc and all mounts, for tests. Files that can't be read
/// limit nothing.
std::uint64_t memory_left(const std::filesystem::path& root = "/");

}  // namespace hoist::detail::os
