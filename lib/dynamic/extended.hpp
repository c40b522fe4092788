// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstddef>
#include <limits>
#include <span>

namespace hoist::detail::dynamic {

/// Whether this processor's long double is x87's of ten bytes, and not IEEE binary128.
inline constexpr bool has_x87 = std::numeric_limits<long double>::digits == 64;
/// The bytes of a long double in encodings: of schema f80, and of f128.
inline constexpr std::size_t x87_bytes = 10;
inline constexpr std::size_t quad_bytes = 16;

/// A long double of this processor, as NumPy's f16 has it.
using LongDouble = std::array<char, 16>;

/// One from an encoding of `x87_bytes` or `quad_bytes`, and back. What x87 can't hold is rounded to
/// nearest, ties to even; both have the same exponents, so that nothing overflows but by rounding.
LongDouble long_double_from(std::span<const char> encoded);
void encode_long_double(const LongDouble& value, std::span<char> encoded);

}  // namespace hoist::detail::dynamic
