// SPDX-License-Identifier: BSD-3-Clause
#include "status/process_table.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <optional>
#include <string_view>

#include "os/file.hpp"

namespace hoist::detail::status {

namespace {

using Numbers = std::array<std::uint64_t, 21>;

/// What follows the state of a process in its stat file, from the parent's pid on. What is negative
/// is 0.
std::optional<Numbers> numbers_in(std::string_view stat) {
  // The program's name, in parentheses, may hold anything.
  const std::size_t behind_name = stat.rfind(')');
  if (behind_name == std::string_view::npos || stat.size() < behind_name + 4) return std::nullopt;
  Numbers numbers{};
  const char* at = stat.data() + behind_name + 4;
  const char* const end = stat.data() + stat.size();
  for (std::uint64_t& number : numbers) {
    at = std::find_if(at, end, [](char c) { return c != ' '; });
    if (at == end) return std::nullopt;
    std::from_chars(at, end, number);
    at = std::find(at, end, ' ');
  }
  return numbers;
}

std::chrono::nanoseconds ticks(std::uint64_t count) {
  static const long per_second = ::sysconf(_SC_CLK_TCK);
  return std::chrono::nanoseconds(count * (1'000'000'000 / static_cast<std::uint64_t>(per_second)));
}

}  // namespace

std::chrono::system_clock::time_point boot_time() {
  const std::string stat = os::read_text("/proc/stat").value_or("");
  const std::size_t at = stat.find("\nbtime ");
  std::int64_t seconds = 0;
  if (at != std::string::npos) {
    std::from_chars(stat.data() + at + 7, stat.data() + stat.size(), seconds);
  }
  return std::chrono::system_clock::time_point(std::chrono::seconds(seconds));
}

std::map<int, ProcessInfo> all_processes() {
  std::map<int, ProcessInfo> all;
  std::error_code error;
  for (std::filesystem::directory_iterator at("/proc", error), end; !error && at != end;
       at.increment(error)) {
    const std::string name = at->path().filename();
    int pid = 0;
    const auto parsed = std::from_chars(name.data(), name.data() + name.size(), pid);
    if (parsed.ec != std::errc() || parsed.ptr != name.data() + name.size()) continue;
    const auto stat = os::read_text(at->path() / "stat");
    const auto numbers = stat ? numbers_in(*stat) : std::nullopt;
    if (!numbers) continue;
    // By the numbers in proc(5), of which the parent's pid is the fourth.
    const auto field = [&](std::size_t number) { return (*numbers)[number - 4]; };
    all[pid] = {.parent = static_cast<int>(field(4)),
                .started = ticks(field(22)),
                .cpu = ticks(field(14) + field(15) + field(16) + field(17)),
                .memory_bytes = field(24) * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE))};
  }
  return all;
}

std::string command_of(int pid) {
  const std::string directory = "/proc/" + std::to_string(pid);
  std::string words = os::read_text(directory + "/cmdline").value_or("");
  while (!words.empty() && words.back() == '\0') words.pop_back();
  std::ranges::replace(words, '\0', ' ');
  if (!words.empty()) return words;
  std::string name = os::read_text(directory + "/comm").value_or("");
  if (!name.empty() && name.back() == '\n') name.pop_back();
  return "[" + name + "]";
}

}  // namespace hoist::detail::status
