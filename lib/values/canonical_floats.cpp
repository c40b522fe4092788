// SPDX-License-Identifier: BSD-3-Clause
#include "values/canonical_floats.hpp"

#include <cstdint>
#include <cstring>

namespace hoist::detail::values {

namespace {

// Uses integers and no branches in the loop, so that compilers vectorise it from -O2 on. The AVX2
// copy halves the cost, which is comparable to that of XXH3 itself.

template <class Bits>
struct Ieee;
template <>
struct Ieee<std::uint64_t> {
  static constexpr std::uint64_t sign = 1ULL << 63, infinity = 0x7FF0ULL << 48,
                                 quiet_nan = 0x7FF8ULL << 48;
};
template <>
struct Ieee<std::uint32_t> {
  static constexpr std::uint32_t sign = 1U << 31, infinity = 0x7F80U << 16,
                                 quiet_nan = 0x7FC0U << 16;
};

template <class Bits>
[[gnu::always_inline]] inline bool no_special(const std::byte* data, std::size_t n) {
  using Signed = std::make_signed_t<Bits>;
  Signed found = 0;
  for (std::size_t at = 0; at + sizeof(Bits) <= n; at += sizeof(Bits)) {
    Bits bits;
    std::memcpy(&bits, data + at, sizeof bits);
    const auto magnitude = static_cast<Signed>(bits & ~Ieee<Bits>::sign);
    const bool nan = magnitude > static_cast<Signed>(Ieee<Bits>::infinity);
    const bool negative_zero = bits == Ieee<Bits>::sign;
    found |= static_cast<Signed>(-static_cast<Signed>(nan)) |
             static_cast<Signed>(-static_cast<Signed>(negative_zero));
  }
  return found == 0;
}

template <class Bits>
[[gnu::always_inline]] inline void normalise(const std::byte* data, std::size_t n, std::byte* to) {
  for (std::size_t at = 0; at + sizeof(Bits) <= n; at += sizeof(Bits)) {
    Bits bits;
    std::memcpy(&bits, data + at, sizeof bits);
    const Bits magnitude = bits & static_cast<Bits>(~Ieee<Bits>::sign);
    bits = magnitude == 0 ? 0 : magnitude > Ieee<Bits>::infinity ? Ieee<Bits>::quiet_nan : bits;
    std::memcpy(to + at, &bits, sizeof bits);
  }
}

bool check_any(const std::byte* data, std::size_t n, Canonical canonical) {
  return canonical == Canonical::float64 ? no_special<std::uint64_t>(data, n)
                                         : no_special<std::uint32_t>(data, n);
}

#if defined(__x86_64__)
[[gnu::target("avx2")]] bool check_avx2(const std::byte* data, std::size_t n, Canonical canonical) {
  return canonical == Canonical::float64 ? no_special<std::uint64_t>(data, n)
                                         : no_special<std::uint32_t>(data, n);
}
#endif

}  // namespace

bool is_canonical(const std::byte* data, std::size_t n, Canonical canonical) {
#if defined(__x86_64__)
  static const bool has_avx2 = __builtin_cpu_supports("avx2") != 0;
  if (has_avx2) return check_avx2(data, n, canonical);
#endif
  return check_any(data, n, canonical);
}

void make_canonical(const std::byte* data, std::size_t n, Canonical canonical, std::byte* to) {
  if (canonical == Canonical::float64) {
    normalise<std::uint64_t>(data, n, to);
  } else {
    normalise<std::uint32_t>(data, n, to);
  }
}

}  // namespace hoist::detail::values
