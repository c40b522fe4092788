// SPDX-License-Identifier: BSD-3-Clause
#include "os/lines.hpp"

namespace hoist::detail::os {

std::optional<std::string> read_line(const std::filesystem::path& path) {
  std::optional<std::string> first;
  for_each_line(path, [&](std::string_view line) {
    if (!first) first = line;
  });
  return first;
}

std::vector<std::string_view> words_of(std::string_view line) {
  std::vector<std::string_view> words;
  while (!line.empty()) {
    const std::string_view word = line.substr(0, line.find(' '));
    line.remove_prefix(std::min(word.size() + 1, line.size()));
    if (!word.empty()) words.push_back(word);
  }
  return words;
}

}  // namespace hoist::detail::os
