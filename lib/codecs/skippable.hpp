// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <span>

#include "base/little_endian.hpp"

namespace hoist::detail::codecs {

/// The magic of a frame without data, but for its low four bits: zstd and lz4 share it (RFC 8878,
/// section 3.1.2). Its size follows, in four bytes.
inline constexpr std::uint64_t skippable_magic = 0x184D2A50;

inline bool begins_skippable_frame(std::span<const std::byte> bytes) {
  return bytes.size() >= 8 &&
         (base::little_endian(bytes.first(4)) & ~std::uint64_t{15}) == skippable_magic;
}

/// What follows the skippable frames at the start; nothing if they go on beyond the end.
inline std::span<const std::byte> behind_skippable_frames(std::span<const std::byte> bytes) {
  while (begins_skippable_frame(bytes)) {
    const std::uint64_t size = 8 + base::little_endian(bytes.subspan(4, 4));
    if (size > bytes.size()) return {};
    bytes = bytes.subspan(static_cast<std::size_t>(size));
  }
  return bytes;
}

}  // namespace hoist::detail::codecs
