// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>

namespace hoist {

/// How far a load follows what its input says. Input that would pass one of these is refused with
/// LimitExceeded, before the memory is taken. Raise them for data you trust.
struct Limits {
  /// Bytes that may come out of a compressed file or an unseekable stream, unless the file's own
  /// size justifies more: 1,100 bytes for each of its bytes are always granted, which is more than
  /// deflate can reach. Bounds decompression bombs, and lengths that nothing can be checked against.
  std::uint64_t max_bytes = std::uint64_t{4} << 30;
  /// Containers inside containers, in files of unknown structure.
  std::size_t max_depth = 1000;
  /// Values (and steps that make them) in files of unknown structure.
  std::uint64_t max_nodes = 50'000'000;
  /// Values visited when shared ones are copied wherever they are referred to.
  std::uint64_t max_expanded = 10'000'000;
  /// Memory for values of unknown structure, without the arrays' elements.
  std::uint64_t max_memory = std::uint64_t{1} << 30;
};

}  // namespace hoist
