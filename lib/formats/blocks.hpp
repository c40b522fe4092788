// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/codec.hpp>
#include <hoist/dump.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace hoist::detail::formats {

inline constexpr std::size_t block_bytes = std::size_t{1} << 20;

/// What stands before each compressed block of a container.
struct BlockHead {
  std::uint32_t stored_bytes;
  std::uint32_t bytes;
  std::uint64_t checksum;  // of the uncompressed block
};
static_assert(sizeof(BlockHead) == 16);

/// How blocks are made. `width` 0: not shuffled.
struct BlockMethod {
  const Codec* codec = nullptr;
  int level = 0;
  std::size_t width = 0;
};

/// The width to shuffle elements of that size by; 0 where the filter or the size forbid it. With
/// Filter::automatic, samples of the data decide.
std::size_t choose_width(const BlockMethod& method, Filter filter, std::size_t element_bytes,
                         std::span<const std::byte> data);

/// A block as it is stored: the front, then the pieces, which refer to `planes` and to the block
/// itself and are not copied together.
struct PackedBlock {
  std::vector<std::byte> front;  // the head, and what was compressed
  std::vector<std::byte> planes;
  std::vector<std::span<const std::byte>> pieces;

  std::size_t size() const;
};

/// Compresses a block into `out`, whose memory is used again. Thread-safe.
void pack_block(const BlockMethod& method, std::span<const std::byte> block, PackedBlock& out);

/// The reverse, into `block.size()` bytes; throws DamagedData, also where the checksum differs.
void unpack_block(const BlockMethod& method, const BlockHead& head,
                  std::span<const std::byte> stored, std::span<std::byte> block);

}  // namespace hoist::detail::formats
