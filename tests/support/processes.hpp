// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/process.hpp>

#include <cstddef>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace support {

inline constexpr hoist::StartMethod all_methods[] = {
    hoist::StartMethod::spawn, hoist::StartMethod::fork, hoist::StartMethod::forkserver};

/// How many descriptors this process has.
inline std::size_t open_descriptors() {
  return static_cast<std::size_t>(
      std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {}));
}

/// How many children of it exist, those that were not collected included.
inline std::size_t child_processes() {
  std::size_t count = 0;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::ifstream file(task.path() / "children");
    count += static_cast<std::size_t>(
        std::distance(std::istream_iterator<int>(file), std::istream_iterator<int>()));
  }
  return count;
}

}  // namespace support
