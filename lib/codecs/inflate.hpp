// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/bytes.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "codecs/input.hpp"

namespace hoist::detail::codecs {

/// What deflate data are wrapped in: headers and checksums differ.
enum class Wrapper { zlib, gzip, none };

/// How far the data within a wrapper have been read.
struct InflateState {
  std::uint32_t checksum = 0;
  std::uint64_t bytes = 0;
  std::vector<std::byte> window;  // the last 32 KiB, which what follows may refer to

  static InflateState at_start(Wrapper wrapper);
  /// Adds bytes of the given checksum, the window included.
  void add(Wrapper wrapper, std::span<const std::byte> more, std::uint32_t sum);
  /// Adds to the checksum and the size alone.
  void add_sum(Wrapper wrapper, std::size_t more, std::uint32_t sum);
  std::vector<std::byte> trailer(Wrapper wrapper) const;
  /// Throws DamagedData unless the trailer fits.
  void check_trailer(Wrapper wrapper, std::span<const std::byte> found) const;
};

constexpr std::size_t trailer_bytes(Wrapper wrapper) {
  return wrapper == Wrapper::gzip ? 8 : wrapper == Wrapper::zlib ? 4 : 0;
}
std::uint32_t wrapper_checksum(Wrapper wrapper, std::span<const std::byte> bytes);

/// Passes over the zeros with which a gzip file may be filled up behind a member.
void skip_zeros(Input& input);

/// Reads any zlib, gzip or bare deflate data, on one thread. Several gzip members may follow each
/// other; other bytes after the end are DamagedData. With `inside`, begins between two deflate
/// blocks, after the header.
std::unique_ptr<ByteSource> sequential_inflate(Input& input, Wrapper wrapper,
                                               const InflateState* inside);

}  // namespace hoist::detail::codecs
