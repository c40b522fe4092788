// SPDX-License-Identifier: BSD-3-Clause
#include "dynamic/elements.hpp"

#include <doctest/doctest.h>
#include <hoist/array.hpp>
#include <hoist/error.hpp>

#include <bit>
#include <cstring>
#include <limits>
#include <memory>
#include <vector>

using hoist::Array;
using hoist::DType;
using hoist::Order;
using hoist::Value;
namespace dynamic = hoist::detail::dynamic;
using Kind = Value::Kind;

namespace {

template <class T>
const std::byte* bytes_of(const T& value) {
  return reinterpret_cast<const std::byte*>(&value);
}

DType swapped(DType dtype) {
  dtype.big_endian = !dtype.big_endian;
  return dtype;
}

DType structure(std::vector<DType::Field> fields, std::size_t bytes) {
  return {.kind = 'V',
          .itemsize = bytes,
          .fields = std::make_shared<const std::vector<DType::Field>>(std::move(fields))};
}

template <class T>
std::vector<T> values(const Value::Elements& elements) {
  std::vector<T> all(elements.size());
  if (!all.empty()) std::memcpy(all.data(), elements.data, elements.nbytes());
  return all;
}

const DType u8{.kind = 'u', .itemsize = 1};
const DType i16{.kind = 'i', .itemsize = 2};
const DType u64{.kind = 'u', .itemsize = 8};
const DType f32{.kind = 'f', .itemsize = 4};
const DType f64{.kind = 'f', .itemsize = 8};

}  // namespace

TEST_CASE("a number is read in either byte order") {
  const std::int16_t minus = -2;
  CHECK(dynamic::number_in(i16, bytes_of(minus))->integer == -2);
  const auto turned = static_cast<std::int16_t>(__builtin_bswap16(0xFFFE));
  CHECK(dynamic::number_in(swapped(i16), bytes_of(turned))->integer == -2);
  const std::uint64_t most = std::numeric_limits<std::uint64_t>::max();
  CHECK(dynamic::number_in(u64, bytes_of(most))->kind == Kind::natural);
  CHECK(dynamic::number_in(u64, bytes_of(std::uint64_t{7}))->kind == Kind::integer);
  const float z[2] = {1.5F, -2.0F};
  const auto complex = dynamic::number_in(DType{.kind = 'c', .itemsize = 8}, bytes_of(z));
  CHECK(complex->real == 1.5);
  CHECK(complex->imaginary == -2);
  CHECK_FALSE(dynamic::number_in(DType{.kind = 'S', .itemsize = 8}, bytes_of(most)));
}

TEST_CASE("numbers of scalars and of arrays without axes are found, others are not") {
  CHECK(dynamic::number_of(Value(true))->kind == Kind::boolean);
  CHECK(dynamic::number_of(Value(Array<double>(hoist::Shape{})))->kind == Kind::real);
  CHECK_FALSE(dynamic::number_of(Value(Array<double>(hoist::Shape{1}))));
  CHECK_FALSE(dynamic::number_of(Value("5")));
}

TEST_CASE("a structure's element is a dict of its fields") {
  const DType record = structure({{"a", 0, i16}, {"b", 8, f64}}, 16);
  std::byte element[16] = {};
  const std::int16_t a = 5;
  const double b = 0.5;
  std::memcpy(element, &a, sizeof a);
  std::memcpy(element + 8, &b, sizeof b);
  const Value value = dynamic::element_value(record, element);
  CHECK(value.find("a")->as_int() == 5);
  CHECK(value.find("b")->as_double() == 0.5);
}

TEST_CASE("which layouts are equal, and which can be made equal by moving bytes") {
  const DType ms{.kind = 'M', .itemsize = 8, .unit = "ms"};
  const DType i64{.kind = 'i', .itemsize = 8};
  CHECK(dynamic::same_layout(ms, i64));        // a count of time is a plain integer
  CHECK_FALSE(dynamic::same_layout(i64, ms));  // but not the reverse
  CHECK(dynamic::same_layout(u8, swapped(u8)));
  CHECK_FALSE(dynamic::same_layout(f64, swapped(f64)));
  CHECK(dynamic::repackable(f64, swapped(f64)));
  CHECK_FALSE(dynamic::repackable(f64, f32));
  const DType wide = structure({{"a", 0, i16}, {"b", 8, f64}}, 16);
  const DType tight = structure({{"b", 0, f64}, {"a", 8, i16}}, 10);
  CHECK_FALSE(dynamic::same_layout(wide, tight));
  CHECK(dynamic::repackable(wide, tight));
  CHECK_FALSE(dynamic::repackable(wide, structure({{"a", 0, i16}, {"c", 2, f64}}, 10)));
  CHECK_FALSE(dynamic::repackable(wide, structure({{"a", 0, i16}}, 2)));
}

TEST_CASE("a packed type has no padding and is little-endian") {
  const DType type = dynamic::packed(structure({{"a", 0, i16}, {"b", 8, swapped(f64)}}, 16));
  CHECK(type.itemsize == 10);
  CHECK((*type.fields)[1].offset == 2);
  CHECK_FALSE((*type.fields)[1].type.big_endian);
}

TEST_CASE("packed elements come in C order") {
  Array<double> columns({2, 3}, Order::fortran);
  for (std::size_t i = 0; i < 6; ++i) columns(i / 3, i % 3) = static_cast<double>(i);
  std::vector<double> seen;
  dynamic::for_each_packed(Value(columns).elements(), [&](std::span<const std::byte> piece) {
    const std::size_t n = seen.size();
    seen.resize(n + piece.size() / sizeof(double));
    std::memcpy(seen.data() + n, piece.data(), piece.size());
  });
  CHECK(seen == std::vector<double>{0, 1, 2, 3, 4, 5});
}

TEST_CASE("elements are converted by copy or in place, and shared if they need no conversion") {
  Array<std::int16_t> array({3});
  for (std::size_t i = 0; i < 3; ++i) array(i) = static_cast<std::int16_t>(256 * (i + 1));
  Value::Elements elements = Value(array).elements();
  CHECK(dynamic::converted(elements, i16, true).data == elements.data);
  const auto turned = dynamic::converted(elements, swapped(i16), true);
  CHECK(values<std::int16_t>(turned) == std::vector<std::int16_t>{1, 2, 3});
  CHECK(values<std::int16_t>(elements) == std::vector<std::int16_t>{256, 512, 768});
  CHECK_FALSE(dynamic::convert_in_place(elements, f64, true));  // another size
  CHECK(dynamic::convert_in_place(elements, swapped(i16), true));
  CHECK(values<std::int16_t>(elements) == std::vector<std::int16_t>{1, 2, 3});
}

TEST_CASE("a row is a view of its part of the array") {
  Array<double> table({3, 2});
  for (std::size_t i = 0; i < 6; ++i) table(i / 2, i % 2) = static_cast<double>(i);
  const Value value(table);
  const auto row = dynamic::row_of(value.elements(), 1);
  CHECK(row.shape == hoist::Shape{2});
  CHECK(values<double>(row) == std::vector<double>{2, 3});
  CHECK(row.data == value.elements().data + 2 * sizeof(double));
}

TEST_CASE("bytes that are no bool are found wherever they are nested") {
  const unsigned char good[4] = {0, 1, 1, 0}, bad[4] = {0, 1, 2, 0};
  const auto elements = [](const DType& dtype, const unsigned char* bytes) {
    return Value::Elements{
        dtype, {4 / dtype.itemsize}, Order::c, nullptr, reinterpret_cast<const std::byte*>(bytes)};
  };
  const DType boolean{.kind = 'b', .itemsize = 1};
  const DType pair{
      .kind = 'V', .itemsize = 2, .base = std::make_shared<const DType>(boolean), .shape = {2}};
  const DType record = structure({{"n", 1, u8}, {"flag", 0, boolean}}, 2);
  for (const DType& dtype : {boolean, pair, record}) {
    CAPTURE(dtype.text());
    CHECK_FALSE(dynamic::has_bad_bools(elements(dtype, good)));
    CHECK(dynamic::has_bad_bools(elements(dtype, bad)));
  }
  CHECK_FALSE(dynamic::has_bad_bools(elements(u8, bad)));
}
