// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/requirements.hpp>

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace hoist {

/// A 128-bit hash value, as XXH3-128 yields it.
///
/// A plain value: it can be copied, compared, dumped and used as a key of ordered and unordered
/// containers. The order is that of the 128-bit number. A default Digest is zero. Two digests of
/// different data are equal with a probability of 2^-128; they are no protection against deliberate
/// collisions.
struct Digest {
  std::uint64_t low = 0;
  std::uint64_t high = 0;

  /// 32 lower-case hexadecimal digits, most significant first (the canonical form of XXH128).
  std::string hex() const;
  /// The inverse of `hex()`. Throws BadArgument for anything but 32 hexadecimal digits.
  static Digest from_hex(std::string_view text);

  /// By the number that they are.
  friend bool operator==(const Digest&, const Digest&) = default;
  friend std::strong_ordering operator<=>(const Digest& a, const Digest& b) {
    if (auto order = a.high <=> b.high; order != 0) return order;
    return a.low <=> b.low;
  }
};

}  // namespace hoist

/// Lets a Digest be the key of unordered containers.
template <>
struct std::hash<hoist::Digest> {
  std::size_t operator()(const hoist::Digest& digest) const noexcept {
    return static_cast<std::size_t>(digest.low ^ (digest.high * 0x9E3779B97F4A7C15ULL));
  }
};
