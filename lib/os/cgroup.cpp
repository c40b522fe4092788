// SPDX-License-Identifier: BSD-3-Clause
#include "os/cgroup.hpp"

#include <algorithm>
#include <optional>
#include <string>

#include "os/lines.hpp"

namespace hoist::detail::os {

namespace {

/// A mounted hierarchy of control groups: where it is mounted, and which group is its root there.
struct CgroupMount {
  std::filesystem::path mounted;
  std::string top;
  bool v2;
};

/// Whether a list of names divided by commas has this one.
bool lists(std::string_view names, std::string_view name) {
  return ("," + std::string(names) + ",").find("," + std::string(name) + ",") != std::string::npos;
}

/// Of mountinfo: "36 35 98:0 /top /mounted options... - type source superoptions".
std::vector<CgroupMount> cgroup_mounts(std::string_view controller,
                                       const std::filesystem::path& root) {
  std::vector<CgroupMount> mounts;
  for_each_line(root / "proc/self/mountinfo", [&](std::string_view line) {
    const std::vector<std::string_view> words = words_of(line);
    const auto dash = std::find(words.begin(), words.end(), "-");
    if (words.size() < 6 || words.end() - dash < 4) return;
    const bool v2 = dash[1] == "cgroup2";
    if (!v2 && !(dash[1] == "cgroup" && lists(dash[3], controller))) return;
    mounts.push_back({words[4], std::string(words[3]), v2});
  });
  return mounts;
}

/// The process's group in the v2 hierarchy, or in v1's for the controller.
std::optional<std::string> own_group(std::string_view controller, const std::filesystem::path& root,
                                     bool v2) {
  std::optional<std::string> group;
  for_each_line(root / "proc/self/cgroup", [&](std::string_view line) {
    const auto first = line.find(':');
    const auto second = line.find(':', first + 1);
    if (group || first == line.npos || second == line.npos) return;
    const std::string_view controllers = line.substr(first + 1, second - first - 1);
    if (v2 ? controllers.empty() : lists(controllers, controller)) group = line.substr(second + 1);
  });
  return group;
}

}  // namespace

std::vector<ControlGroup> control_groups(std::string_view controller,
                                         const std::filesystem::path& root) {
  std::vector<ControlGroup> groups;
  for (const CgroupMount& mount : cgroup_mounts(controller, root)) {
    const auto group = own_group(controller, root, mount.v2);
    if (!group) continue;
    // Inside a container the mount shows only the part below `top`; a group outside of it
    // ("/../..") can't be looked up, but the top itself holds for it.
    std::filesystem::path below = *group;
    if (mount.top != "/") {
      const auto relative = below.lexically_relative(mount.top);
      below = relative.empty() || *relative.begin() == ".." ? std::filesystem::path("/")
                                                            : "/" / relative;
    }
    const std::filesystem::path base = root / mount.mounted.relative_path();
    below = below.lexically_normal();
    for (;;) {
      groups.push_back({base / below.relative_path(), mount.v2});
      if (!below.has_relative_path()) break;
      below = below.parent_path();
    }
  }
  return groups;
}

}  // namespace hoist::detail::os
