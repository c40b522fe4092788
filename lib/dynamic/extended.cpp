// SPDX-License-Identifier: BSD-3-Clause
#include "dynamic/extended.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace hoist::detail::dynamic {

namespace {

/// Of x87's 64 bits of mantissa the first is that before the point, which binary128 leaves out.
constexpr std::uint64_t integer_bit = std::uint64_t{1} << 63;
constexpr std::uint16_t exponent_bits = 0x7fff;
/// binary128 has 112 bits behind the point, x87 63.
constexpr unsigned bits_more = 112 - 63;

struct X87 {
  std::uint64_t mantissa = 0;
  std::uint16_t head = 0;  ///< sign and exponent
};

struct Quad {
  std::uint64_t low = 0;
  std::uint64_t high = 0;  ///< sign, exponent, the first 48 bits of the fraction
};

template <class T>
T load(const char* from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

Quad quad_of(X87 value) {
  const std::uint64_t fraction = value.mantissa & ~integer_bit;
  // Denormal numbers have the exponent 0; with the integer bit they are as large as those of 1.
  if ((value.head & exponent_bits) == 0 && value.mantissa != fraction) ++value.head;
  return {.low = fraction << bits_more,
          .high = std::uint64_t{value.head} << 48U | fraction >> (64 - bits_more)};
}

X87 x87_of(Quad value) {
  X87 result{.mantissa = (value.high << 16U >> 1U) | value.low >> bits_more,
             .head = static_cast<std::uint16_t>(value.high >> 48U)};
  const std::uint64_t rest = value.low << (64 - bits_more);
  const bool is_finite = (result.head & exponent_bits) != exponent_bits;
  if ((result.head & exponent_bits) != 0) result.mantissa |= integer_bit;
  if (!is_finite) {
    // A NaN stays one.
    if (rest != 0) result.mantissa |= 1;
  } else if (rest > integer_bit || (rest == integer_bit && (result.mantissa & 1) != 0)) {
    if (++result.mantissa == 0) {
      result.mantissa = integer_bit;
      ++result.head;
    } else if ((result.head & exponent_bits) == 0 && result.mantissa == integer_bit) {
      ++result.head;
    }
  }
  return result;
}

X87 load_x87(const char* from) {
  return {.mantissa = load<std::uint64_t>(from), .head = load<std::uint16_t>(from + 8)};
}
Quad load_quad(const char* from) {
  return {.low = load<std::uint64_t>(from), .high = load<std::uint64_t>(from + 8)};
}
void store(const X87& value, char* to) {
  std::memcpy(to, &value.mantissa, sizeof value.mantissa);
  std::memcpy(to + 8, &value.head, sizeof value.head);
}
void store(const Quad& value, char* to) {
  std::memcpy(to, &value.low, sizeof value.low);
  std::memcpy(to + 8, &value.high, sizeof value.high);
}

}  // namespace

LongDouble long_double_from(std::span<const char> encoded) {
  LongDouble result{};
  if ((encoded.size() == x87_bytes) == has_x87) {
    std::ranges::copy(encoded, result.begin());
  } else if (has_x87) {
    store(x87_of(load_quad(encoded.data())), result.data());
  } else {
    store(quad_of(load_x87(encoded.data())), result.data());
  }
  return result;
}

void encode_long_double(const LongDouble& value, std::span<char> encoded) {
  if ((encoded.size() == x87_bytes) == has_x87) {
    std::copy_n(value.begin(), encoded.size(), encoded.begin());
  } else if (has_x87) {
    store(quad_of(load_x87(value.data())), encoded.data());
  } else {
    store(x87_of(load_quad(value.data())), encoded.data());
  }
}

}  // namespace hoist::detail::dynamic
