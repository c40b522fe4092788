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

/// The groups whose limits for `controller` ("cpu", "memory") hold for this process: its own and those
/// above it, as far as they are mounted, v1 and v2. `root` stands before /proc and all mounts, for
/// tests. What can't be read or understood is left out.
std::vector<ControlGroup> control_groups(std::string_view controller,
                                         const std::filesystem::path& root = "/");

}  // namespace hoist::detail::os
