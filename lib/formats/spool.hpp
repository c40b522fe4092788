// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/bytes.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/file.hpp"

namespace hoist::detail {

/// All that comes out of a source, to be read at will: in memory where it is little, else in a file
/// without a name (see `temp_folders`).
class Spool {
 public:
  /// Throws LimitExceeded for more than `most` bytes, SystemError where no file can hold them. `name` is
  /// that of the source, for messages.
  Spool(ByteSource& in, std::uint64_t most, const std::string& name);

  /// Null where all is in memory.
  FileSource* file() { return file_ ? &*file_ : nullptr; }
  std::string_view bytes() const { return bytes_; }

 private:
  std::string bytes_;
  std::optional<FileSource> file_;
};

}  // namespace hoist::detail
