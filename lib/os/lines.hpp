// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "os/file.hpp"

namespace hoist::detail::os {

/// Calls `each` with every line of a file, with none where it can't be read. Not by a stream, whose
/// first use in a program takes longer than it does to read all of the system's small files.
template <class Each>
void for_each_line(const std::filesystem::path& path, Each&& each) {
  const std::string text = read_text(path).value_or("");
  for (std::string_view left = text; !left.empty();) {
    const std::string_view line = left.substr(0, left.find('\n'));
    left.remove_prefix(std::min(line.size() + 1, left.size()));
    each(line);
  }
}

/// The first line of a file.
std::optional<std::string> read_line(const std::filesystem::path& path);

/// The words of a line that spaces divide.
std::vector<std::string_view> words_of(std::string_view line);

}  // namespace hoist::detail::os
