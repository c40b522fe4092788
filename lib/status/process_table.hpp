// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>

namespace hoist::detail::status {

struct ProcessInfo {
  int parent = 0;
  std::chrono::nanoseconds started{};  ///< since the system started, less up to a tick of 10 ms
  /// With that of children that have ended.
  std::chrono::nanoseconds cpu{};
  std::uint64_t memory_bytes = 0;
};

/// All processes that /proc shows, by their pids.
std::map<int, ProcessInfo> all_processes();

/// When the system started.
std::chrono::system_clock::time_point boot_time();

/// The words of its command line, with spaces between; its name in brackets if that is empty.
std::string command_of(int pid);

}  // namespace hoist::detail::status
