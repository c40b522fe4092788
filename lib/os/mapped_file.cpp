// SPDX-License-Identifier: BSD-3-Clause
#include "os/mapped_file.hpp"

#include <cinttypes>
#include <cstdio>
#include <sstream>
#include <string_view>

#include "os/file.hpp"

namespace hoist::detail::os {

MappedFile mapped_file(const void* address) {
  constexpr std::string_view removed = " (deleted)";
  const auto wanted = reinterpret_cast<std::uintptr_t>(address);
  std::istringstream maps(read_text("/proc/self/maps").value_or(""));
  for (std::string line; std::getline(maps, line);) {
    std::uintptr_t begin = 0;
    std::uintptr_t end = 0;
    MappedFile file;
    int path_at = 0;
    if (std::sscanf(line.c_str(), "%" SCNxPTR "-%" SCNxPTR " %*s %*s %*s %" SCNu64 " %n", &begin,
                    &end, &file.inode, &path_at) != 3 ||
        wanted < begin || wanted >= end) {
      continue;
    }
    file.path = line.substr(static_cast<std::size_t>(path_at));
    if (file.path.ends_with(removed)) file.path.resize(file.path.size() - removed.size());
    return file;
  }
  return {};
}

}  // namespace hoist::detail::os
