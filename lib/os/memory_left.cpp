// SPDX-License-Identifier: BSD-3-Clause
#include "os/memory_left.hpp"

#include <algorithm>
#include <charconv>
#include <limits>
#include <optional>
#include <string_view>

#include "os/cgroup.hpp"
#include "os/lines.hpp"

namespace hoist::detail::os {

namespace {

constexpr std::uint64_t unlimited = std::numeric_limits<std::uint64_t>::max();

std::optional<std::uint64_t> whole_number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc()) return std::nullopt;  // also "max"
  return value;
}

std::optional<std::uint64_t> number_in(const std::filesystem::path& file) {
  const auto line = read_line(file);
  return line ? whole_number(*line) : std::nullopt;
}

/// The value in a line "name value" or "name: value kB".
std::uint64_t field(const std::filesystem::path& file, std::string_view name) {
  std::uint64_t value = 0;
  for_each_line(file, [&](std::string_view line) {
    const auto words = words_of(line);
    if (words.size() > 1 && words[0] == name) value = whole_number(words[1]).value_or(0);
  });
  return value;
}

std::uint64_t group_leaves(const ControlGroup& group) {
  const std::filesystem::path& directory = group.directory;
  const auto limit = number_in(directory / (group.v2 ? "memory.max" : "memory.limit_in_bytes"));
  if (!limit) return unlimited;
  const auto used = number_in(directory / (group.v2 ? "memory.current" : "memory.usage_in_bytes"));
  if (!used) return unlimited;
  // The kernel reclaims cached pages of files that are not in use.
  const std::uint64_t idle =
      field(directory / "memory.stat", group.v2 ? "inactive_file" : "total_inactive_file");
  const std::uint64_t taken = *used - std::min(*used, idle);
  return *limit - std::min(*limit, taken);
}

}  // namespace

std::uint64_t memory_left(const std::filesystem::path& root) {
  const auto meminfo = root / "proc/meminfo";
  const std::uint64_t machine = field(meminfo, "MemAvailable:") + field(meminfo, "SwapFree:");
  std::uint64_t left = machine > 0 ? machine * 1024 : unlimited;
  for (const ControlGroup& group : control_groups("memory", root)) {
    left = std::min(left, group_leaves(group));
  }
  return left;
}

}  // namespace hoist::detail::os
