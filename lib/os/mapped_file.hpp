// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <string>

namespace hoist::detail::os {

/// A file that this process has mapped.
struct MappedFile {
  std::uint64_t inode = 0;
  std::string path;  ///< absolute; the file may have been removed since
};

/// The file that is mapped at an address; inode 0 and no path if there is none, or /proc is not
/// mounted. Reads the list of all mappings.
MappedFile mapped_file(const void* address);

}  // namespace hoist::detail::os
