// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <filesystem>
#include <string_view>
#include <vector>

namespace hoist::detail::os {

/// The directory of a control group.
struct ControlGroup {
  std::filesystem::path directory;
  bool v2;
};

/// The groups whose limits for `controller` ("cpu", "memory") apply to this process: its own and
/// those above it, v1 and v2, as far as they are mounted. `root` is put before /proc and all
/// mounts, for tests. Files that can't be read or understood are ignored.
std::vector<ControlGroup> control_groups(std::string_view controller,
                                         const std::filesystem::path& root = "/");

}  // namespace hoist::detail::os
