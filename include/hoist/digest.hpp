// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace hoist {

/// A 128-bit hash value. A plain value: copy, compare, dump, use as a key.
struct Digest {
  std::uint64_t low = 0;
  std::uint64_t high = 0;

  /// 32 lower-case hex digits, most significant first (XXH128's canonical form).
  std::string hex() const;
  /// The inverse of `hex()`. Throws BadArgument for anything but 32 hex digits.
  static Digest from_hex(std::string_view text);

  friend bool operator==(const Digest&, const Digest&) = default;
  friend std::strong_ordering operator<=>(const Digest& a, const Digest& b) {
    if (auto order = a.high <=> b.high; order != 0) return order;
    return a.low <=> b.low;
  }
};

}  // namespace hoist

template <>
struct std::hash<hoist::Digest> {
  std::size_t operator()(const hoist::Digest& digest) const noexcept {
    return static_cast<std::size_t>(digest.low ^ (digest.high * 0x9E3779B97F4A7C15ULL));
  }
};
