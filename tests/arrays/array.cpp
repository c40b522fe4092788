// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>
#include <hoist/array.hpp>
#include <hoist/hash.hpp>

#include <cstdint>
#include <numeric>
#include <sstream>
#include <vector>

using hoist::Array;
using hoist::Order;
using hoist::Shape;
using hoist::Strides;

namespace {

Array<int> counted(Shape shape, Order order = Order::c) {
  Array<int> array(std::move(shape), order);
  std::iota(array.begin(), array.end(), 0);
  return array;
}

}  // namespace

TEST_CASE("shape, strides and access follow the order") {
  const Array<int> c = counted({2, 3});
  CHECK(c.strides() == Strides{3, 1});
  CHECK(c(1, 2) == 5);
  const Array<int> f = counted({2, 3}, Order::fortran);
  CHECK(f.strides() == Strides{1, 2});
  CHECK(f(1, 2) == 5);
  CHECK(f(1, 0) == 1);
  CHECK(f.order() == Order::fortran);
  CHECK(c.size() == 6);
  CHECK(c.nbytes() == 24);
  CHECK(c.ndim() == 2);
  CHECK_THROWS_AS(c.at(2, 0), hoist::BadArgument);
  CHECK_THROWS_AS(c.at(0), hoist::BadArgument);
  Array<double> value(Shape{});
  value() = 4;
  CHECK(value.size() == 1);
  CHECK(value.ndim() == 0);
}

TEST_CASE("new arrays are zero and aligned, large ones too") {
  for (const std::size_t n : {std::size_t{1}, std::size_t{1000}, std::size_t{3} << 20}) {
    const Array<double> array({n});
    CHECK(reinterpret_cast<std::uintptr_t>(array.data()) % 64 == 0);
    CHECK(std::accumulate(array.begin(), array.end(), 0.0) == 0);
  }
  CHECK_THROWS_AS(Array<double>({SIZE_MAX / 2, 3}), hoist::BadArgument);
  CHECK(Array<double>({0, SIZE_MAX}).empty());
  CHECK(Array<float>().empty());
}

TEST_CASE("handles share, copies don't") {
  Array<int> a = counted({4});
  Array<int> b = a;
  b[0] = 100;
  CHECK(a[0] == 100);
  Array<int> c = a.copy();
  c[0] = 1;
  CHECK(a[0] == 100);
  const Array<const int> fixed = a;
  CHECK(fixed.data() == a.data());
  CHECK(fixed == Array<const int>(b));
}

TEST_CASE("a vector's elements are taken over, not copied") {
  std::vector<float> values(1000, 2.0F);
  const float* data = values.data();
  const auto array = Array<float>::from_vector(std::move(values), {10, 100});
  CHECK(array.data() == data);
  CHECK(array.shape() == Shape{10, 100});
  CHECK_THROWS_AS(Array<float>::from_vector({1, 2, 3}, {2, 2}), hoist::BadArgument);
  int own[] = {1, 2, 3};
  CHECK(Array<int>::wrap(own, {3}).data() == own);
  CHECK(Array<int>::copy_of(own)[2] == 3);
}

TEST_CASE("views: rows, slices, transposed, reshaped") {
  const Array<int> a = counted({3, 4});
  CHECK(a.row(1).shape() == Shape{4});
  CHECK(a.row(1)[2] == 6);
  const Array<int> column = a.slice(1, 2, 3).transposed().row(0);
  CHECK(column.shape() == Shape{3});
  CHECK(column(2) == 10);
  CHECK(column.order() == Order::strided);
  CHECK_THROWS_AS(column.span(), hoist::BadArgument);
  CHECK(column.copy() == Array<int>::from_vector({2, 6, 10}));
  CHECK(a.slice(0, 0, 3, 2).shape() == Shape{2, 4});
  CHECK(a.slice(0, 0, 3, 2)(1, 1) == 9);
  CHECK(a.slice(0, 3, 3).empty());
  CHECK(a.slice(0, 1, 3, SIZE_MAX) == a.slice(0, 1, 2));
  CHECK(a.slice(1, 0, 4, SIZE_MAX / 2).shape() == Shape{3, 1});
  CHECK_THROWS_AS(a.slice(0, 0, 4), hoist::BadArgument);
  CHECK_THROWS_AS(a.slice(0, 0, 3, 0), hoist::BadArgument);
  CHECK_THROWS_AS(a.row(3), hoist::BadArgument);
  CHECK(a.transposed().order() == Order::fortran);
  CHECK(a.transposed()(3, 2) == a(2, 3));
  CHECK(a.reshaped({2, 6})(1, 0) == 6);
  CHECK_THROWS_AS(a.reshaped({5}), hoist::BadArgument);
  CHECK_THROWS_AS(column.reshaped({3, 1}), hoist::BadArgument);
}

TEST_CASE("equality goes by shape and elements, the hash by order too") {
  const Array<int> c = counted({2, 3});
  Array<int> f({2, 3}, Order::fortran);
  for (std::size_t i = 0; i < 2; ++i) {
    for (std::size_t j = 0; j < 3; ++j) f(i, j) = c(i, j);
  }
  CHECK(c == f);
  CHECK(hoist::hash(c) != hoist::hash(f));
  CHECK_FALSE(c == c.reshaped({6}));
  CHECK(hoist::hash(c) != hoist::hash(c.reshaped({6})));
  // A strided view hashes like the dense array of the same elements.
  const Array<int> wide = counted({4, 6});
  const Array<int> inner = wide.slice(1, 1, 5, 2);
  CHECK(inner.order() == Order::strided);
  CHECK(hoist::hash(inner) == hoist::hash(inner.copy()));
  CHECK(hoist::hash(Array<const int>(c)) == hoist::hash(c));
}

TEST_CASE("an array that was moved from has no elements") {
  Array<int> from({2, 3});
  Array<int> to(std::move(from));
  CHECK(to.size() == 6);
  CHECK(from.empty());                // NOLINT: what is moved from says so
  CHECK(from.begin() == from.end());  // NOLINT
  // It had 0 dimensions, as an array of one element has.
  // NOLINTBEGIN
  CHECK(from == Array<int>());
  CHECK(from != Array<int>(Shape{}));
  CHECK(hoist::hash(from) == hoist::hash(Array<int>()));
  CHECK(from.copy().empty());
  from.for_each([](int& element) { element = 1; });
  std::ostringstream text;
  text << from;
  CHECK(text.str() == "[]");
  // NOLINTEND
  from = std::move(to);
  CHECK(from.size() == 6);
  CHECK(to.begin() == to.end());  // NOLINT
  to = Array<int>({4});
  CHECK(to.size() == 4);
}
