// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/requirements.hpp>

#include <cstddef>
#include <cstdint>

namespace hoist {

/// Upper bounds for what a load takes from untrusted input. Input that would exceed one of them is
/// refused with LimitExceeded before the memory is allocated. Raise them for data you trust.
struct Limits {
  /// Bytes that a compressed file or an unseekable stream may expand to, unless the size of the
  /// file justifies more: 1,100 bytes per byte of the file are always granted, which exceeds what
  /// deflate can reach. Bounds decompression bombs, and lengths that can't be checked against
  /// anything.
  std::uint64_t max_bytes = std::uint64_t{4} << 30;
  /// Nesting of containers, in files of unknown structure.
  std::size_t max_depth = 1000;
  /// Values, and steps that make them, in files of unknown structure.
  std::uint64_t max_nodes = 50'000'000;
  /// Values visited when shared values are copied to each place that refers to them.
  std::uint64_t max_expanded = 10'000'000;
  /// Bytes of memory for values of unknown structure, not counting the elements of arrays.
  std::uint64_t max_memory = std::uint64_t{1} << 30;
};

}  // namespace hoist
