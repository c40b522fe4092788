// SPDX-License-Identifier: BSD-3-Clause
#include "dynamic/extended.hpp"

#include <cmath>
#include <cstring>

namespace {

using namespace hoist::detail::dynamic;

template <class To, class From>
To bits_as(const From& from) {
  To to{};
  std::memcpy(&to, &from, std::min(sizeof to, sizeof from));
  return to;
}

TEST_CASE("numbers of x87 and of IEEE binary128 are each other's, with all bits of x87") {
  const std::pair<std::array<std::uint64_t, 2>, std::array<std::uint64_t, 2>> samples[] = {
      {{0, 0}, {0, 0}},
      {{0, 0x8000}, {0, 0x8000000000000000}},
      {{0x8000000000000000, 0x3fff}, {0, 0x3fff000000000000}},                   // 1
      {{0xc90fdaa22168c235, 0xc000}, {0x846a000000000000, 0xc000921fb54442d1}},  // -pi
      {{0x8000000000000000, 0x7fff}, {0, 0x7fff000000000000}},                   // infinity
      {{0xc000000000000000, 0x7fff}, {0, 0x7fff800000000000}},                   // NaN
      {{1, 0}, {std::uint64_t{1} << 49U, 0}},                                    // the least
      {{0x7fffffffffffffff, 0}, {0xfffe000000000000, 0x0000ffffffffffff}},       // denormal
      {{0x8000000000000000, 1}, {0, 0x0001000000000000}},                        // normal
      {{0xffffffffffffffff, 0x7ffe}, {0xfffe000000000000, 0x7ffeffffffffffff}},  // the largest
  };
  for (const auto& [x87, quad] : samples) {
    CAPTURE(x87[0]);
    CAPTURE(x87[1]);
    const auto ten = bits_as<std::array<char, x87_bytes>>(x87);
    const auto sixteen = bits_as<std::array<char, quad_bytes>>(quad);
    std::array<char, x87_bytes> other_ten{};
    std::array<char, quad_bytes> other_sixteen{};
    encode_long_double(long_double_from(ten), other_sixteen);
    CHECK(other_sixteen == sixteen);
    encode_long_double(long_double_from(sixteen), other_ten);
    CHECK(other_ten == ten);
    encode_long_double(long_double_from(ten), other_ten);
    CHECK(other_ten == ten);
  }
}

TEST_CASE("binary128 becomes x87 rounded to nearest, ties to even") {
  const std::uint64_t one = 0x3fff000000000000;
  const std::uint64_t half = std::uint64_t{1} << 48U;  // of the last bit of x87
  struct Sample {
    std::uint64_t low, high;
    long double value;
  };
  const long double epsilon = std::ldexp(1.0L, -63);
  const Sample samples[] = {
      {half, one, 1},                    // a tie, to even
      {half + 1, one, 1 + epsilon},      // above it
      {half - 1, one, 1},                // below it
      {3 * half, one, 1 + 2 * epsilon},  // a tie, to even
      {~std::uint64_t{0}, one | 0xffffffffffff, 2},
      {~std::uint64_t{0}, 0x7ffeffffffffffff, INFINITY},
      {~std::uint64_t{0}, 0x0000ffffffffffff, std::ldexp(1.0L, -16382)},  // the least normal one
      {1, 0, 0},
  };
  for (const auto& [low, high, value] : samples) {
    CAPTURE(low);
    CAPTURE(high);
    const std::array<std::uint64_t, 2> quad{low, high};
    std::array<char, x87_bytes> ten{};
    encode_long_double(long_double_from(bits_as<std::array<char, quad_bytes>>(quad)), ten);
    if (has_x87) {
      CHECK(bits_as<long double>(ten) == value);
    } else {
      CHECK(bits_as<long double>(long_double_from(ten)) == value);
    }
  }
  // A NaN of which x87 has no bit stays one.
  const std::array<std::uint64_t, 2> nan{1, 0x7fff000000000000};
  std::array<char, x87_bytes> ten{};
  encode_long_double(long_double_from(bits_as<std::array<char, quad_bytes>>(nan)), ten);
  CHECK(std::isnan(bits_as<long double>(long_double_from(ten))));
}

}  // namespace
