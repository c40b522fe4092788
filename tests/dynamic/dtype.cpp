// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>
#include <hoist/dtype.hpp>
#include <hoist/error.hpp>

#include <cmath>
#include <limits>
#include <memory>
#include <vector>

#include "dynamic/dtype_check.hpp"

using hoist::DamagedData;
using hoist::DType;
using hoist::Float16;
using hoist::LimitExceeded;
using hoist::detail::dynamic::check_dtype;
using hoist::detail::dynamic::checked_bytes;

namespace {

DType number(char kind, std::size_t bytes) { return {.kind = kind, .itemsize = bytes}; }

DType structure(std::vector<DType::Field> fields, std::size_t bytes) {
  return {.kind = 'V',
          .itemsize = bytes,
          .fields = std::make_shared<const std::vector<DType::Field>>(std::move(fields))};
}

DType sub_array(DType base, hoist::Shape shape, std::size_t bytes) {
  return {.kind = 'V',
          .itemsize = bytes,
          .base = std::make_shared<const DType>(std::move(base)),
          .shape = std::move(shape)};
}

}  // namespace

TEST_CASE("a half rounds to nearest, ties to even") {
  CHECK(Float16(1.0F).bits == 0x3C00);
  CHECK(Float16(-2.0F).bits == 0xC000);
  CHECK(Float16(65504.0F).bits == 0x7BFF);
  CHECK(Float16(65520.0F).bits == 0x7C00);  // the tie becomes infinity
  CHECK(Float16(65519.0F).bits == 0x7BFF);
  CHECK(Float16(std::ldexp(1.0F, -24)).bits == 1);  // the least subnormal
  CHECK(Float16(std::ldexp(1.0F, -25)).bits == 0);  // half of it: to even
  CHECK(Float16(std::ldexp(3.0F, -25)).bits == 2);
  CHECK(Float16(1.0F + std::ldexp(1.0F, -11)).bits == 0x3C00);
  CHECK(Float16(1.0F + std::ldexp(3.0F, -11)).bits == 0x3C02);
  CHECK(Float16(-0.0F).bits == 0x8000);
  CHECK(Float16(std::numeric_limits<float>::infinity()).bits == 0x7C00);
  CHECK(std::isnan(float(Float16(std::numeric_limits<float>::quiet_NaN()))));
}

TEST_CASE("every half that is a number survives the way through float") {
  for (unsigned bits = 0; bits < 0x10000; ++bits) {
    Float16 half;
    half.bits = static_cast<std::uint16_t>(bits);
    if (std::isnan(float(half))) continue;
    REQUIRE(Float16(float(half)).bits == bits);
  }
}

TEST_CASE("a dtype's text tells what differs") {
  CHECK(number('f', 8).text() == "<f8");
  CHECK(DType{.kind = 'i', .big_endian = true, .itemsize = 2}.text() == ">i2");
  CHECK(number('u', 1).text() == "|u1");
  CHECK(number('U', 20).text() == "<U5");
  CHECK(number('O', 8).text() == "|O");
  CHECK(DType{.kind = 'M', .itemsize = 8, .unit = "ms", .unit_count = 25}.text() == "<M8[25ms]");
  const DType record = structure({{"x", 0, number('b', 1)}, {"y", 8, number('f', 8)}}, 24);
  CHECK(record.text() == "{x: |b1, y: <f8 at 8; 24 bytes}");
  CHECK(sub_array(number('f', 4), {2, 3}, 24).text() == "<f4[2, 3]");
}

TEST_CASE("dtypes are equal if elements mean the same") {
  DType big = number('i', 1);
  big.big_endian = true;
  CHECK(big == number('i', 1));  // a single byte has no order
  DType other = number('i', 4);
  other.big_endian = true;
  CHECK_FALSE(other == number('i', 4));
  CHECK_FALSE(number('i', 4) == number('u', 4));
  CHECK(structure({{"x", 0, number('f', 4)}}, 4) == structure({{"x", 0, number('f', 4)}}, 4));
  CHECK_FALSE(structure({{"x", 0, number('f', 4)}}, 4) == structure({{"y", 0, number('f', 4)}}, 4));
  CHECK_FALSE(structure({{"x", 0, number('f', 4)}}, 8) == structure({{"x", 4, number('f', 4)}}, 8));
}

TEST_CASE("sound dtypes pass the check") {
  for (const DType& dtype :
       {number('b', 1), number('i', 8), number('f', 16), number('c', 32), number('S', 0),
        number('U', 12), DType{.kind = 'm', .itemsize = 8, .unit = "ns"},
        structure({{"x", 0, number('f', 8)}, {"y", 4, number('f', 4)}}, 8),  // may overlap
        sub_array(number('f', 8), {3}, 24)}) {
    CAPTURE(dtype.text());
    CHECK_NOTHROW(check_dtype(dtype));
  }
}

TEST_CASE("dtypes that contradict themselves are damaged data") {
  const DType f8 = number('f', 8);
  for (const DType& dtype :
       {number('b', 2), number('i', 3), number('f', 10), number('c', 4), number('U', 6),
        number('O', 4), number('q', 8), DType{.kind = 'M', .itemsize = 8, .unit = "fortnight"},
        DType{.kind = 'M', .itemsize = 8, .unit = "s", .unit_count = 0},
        structure({{"x", 4, f8}}, 8), structure({{"x", ~std::size_t{0}, f8}}, 8),
        structure({{"x", 0, f8}, {"x", 8, f8}}, 16), structure({{"x", 0, number('O', 8)}}, 8),
        sub_array(f8, {3}, 16)}) {
    CAPTURE(dtype.text());
    CHECK_THROWS_AS(check_dtype(dtype), DamagedData);
  }
  DType parts_of_number = structure({{"x", 0, f8}}, 8);
  parts_of_number.kind = 'f';
  CHECK_THROWS_AS(check_dtype(parts_of_number), DamagedData);
}

TEST_CASE("dtypes and arrays of too large a size exceed the limits") {
  CHECK_THROWS_AS(check_dtype(number('V', std::size_t{1} << 31)), LimitExceeded);
  DType deep = number('f', 8);
  for (int i = 0; i < 17; ++i) deep = structure({{"x", 0, deep}}, 8);
  CHECK_THROWS_AS(check_dtype(deep), LimitExceeded);

  CHECK(checked_bytes(number('f', 8), {3, 4}) == 96);
  CHECK(checked_bytes(number('f', 8), {}) == 8);
  CHECK(checked_bytes(number('S', 0), {1000}) == 0);
  const std::size_t huge = std::size_t{1} << 40;
  CHECK_THROWS_AS(checked_bytes(number('f', 8), {huge, huge}), LimitExceeded);
  CHECK_THROWS_AS(checked_bytes(number('S', 0), {huge}), LimitExceeded);
  CHECK_THROWS_AS(checked_bytes(number('f', 8), hoist::Shape(65, 1)), LimitExceeded);
}
