// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstddef>
#include <span>

namespace hoist::detail::codecs {

inline constexpr std::size_t max_shuffle_width = 8;

/// The planes of a shuffled block: plane k holds byte k of each element.
using Planes = std::array<const std::byte*, max_shuffle_width>;

/// Writes the planes of `n` elements of `width` (2 to 8) bytes to `to`, one after another.
void shuffle(const std::byte* from, std::size_t n, std::size_t width, std::byte* to);
/// The reverse; the planes may be anywhere in memory.
void unshuffle(const Planes& planes, std::size_t n, std::size_t width, std::byte* to);

/// True if the bytes are so uniformly distributed that no coder of single bytes would save a
/// percent. Examines 4 KiB of them.
bool looks_random(std::span<const std::byte> bytes);

}  // namespace hoist::detail::codecs
