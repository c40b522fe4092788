// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/bytes.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "os/file.hpp"

namespace hoist::detail::formats {

/// Keeps bytes to be read later: few in memory, many in a file without a name (see `temp_folders`).
class Spool {
 public:
  /// Keeps what is written. `name` is the name of their origin, for messages.
  explicit Spool(std::string name) : name_(std::move(name)) {}
  /// Keeps everything that a source yields. Throws LimitExceeded for more than `most` bytes,
  /// SystemError if no file can hold them.
  Spool(ByteSource& in, std::uint64_t most, std::string name);

  /// Throws SystemError where no file can hold the bytes.
  void write(std::span<const std::byte> bytes);
  /// Nothing more will be written.
  void end();

  // After the end.
  /// Null where all is in memory.
  os::FileSource* file() { return file_ ? &*file_ : nullptr; }
  const os::FileSource* file() const { return file_ ? &*file_ : nullptr; }
  std::string_view bytes() const { return bytes_; }

 private:
  void store();

  std::string name_;
  std::string bytes_;  // what is not in the file
  os::Fd fd_;
  std::filesystem::path folder_;
  std::optional<os::FileSource> file_;
};

}  // namespace hoist::detail::formats
