// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/requirements.hpp>

#include <cstdint>
#include <filesystem>
#include <string>

namespace hoist {

/// What a file is, as `load` would recognise it by its first bytes.
struct FileInfo {
  /// "hoist", "npy", "npz" or "pickle".
  std::string format;
  /// The method that compresses the whole file; empty for none. And that of the blocks inside a
  /// hoist container.
  std::string compression;
  std::string block_compression;
  /// Of a hoist container: what it holds (docs/formats/schema.md).
  std::string schema;
  /// Bytes of the file; 0 for pipes and devices.
  std::uint64_t bytes = 0;
};

/// Looks at the beginning of a file. Throws NotFound, SystemError, and DamagedData for a file in
/// none of these formats. Thread-safe.
[[nodiscard]] FileInfo file_info(const std::filesystem::path& path);

/// Reads all of a file, and throws DamagedData unless its checksums are right and it ends where it
/// should. A hoist container takes bounded memory, whatever its size; files in other formats, which
/// have few checksums or none, are loaded as a Value. Throws what `load` throws, and BadArgument if
/// such a file is a pipe. Thread-safe.
void verify_file(const std::filesystem::path& path);

}  // namespace hoist
