// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>
#include <hoist/concatenate.hpp>

#include <complex>
#include <cstddef>
#include <cstdint>
#include <iomanip>
#include <numeric>
#include <ranges>
#include <sstream>
#include <string>
#include <vector>

using hoist::Array;
using hoist::concatenate;
using hoist::Order;
using hoist::Shape;
using hoist::stack;

namespace {

Array<int> counted(Shape shape) {
  Array<int> array(std::move(shape));
  std::iota(array.begin(), array.end(), 0);
  return array;
}

template <class T>
std::string text_of(const Array<T>& array) {
  std::ostringstream out;
  out << array;
  return out.str();
}

enum class Colour : std::uint8_t { red = 65 };
struct Named {
  char name;
};
std::ostream& operator<<(std::ostream& to, const Named& named) {
  return to << '<' << named.name << '>';
}
struct Opaque {
  int number;
};
template <class A>
concept Fillable = requires(const A& array) { array.fill(1); };
template <class T>
concept Writable = requires(std::ostream& to, const T& value) { to << value; };

}  // namespace

TEST_CASE("a list in braces is a shape, never values") {
  CHECK(Array<int>({2, 3}) == Array<int>(Shape{2, 3}));
  CHECK(Array<int>({2, 3}).size() == 6);
  CHECK(Array<double>({1, 2, 3}).shape() == Shape{1, 2, 3});
  CHECK(Array<int>{{2, 3}}.shape() == Shape{2, 3});
  CHECK(Array<int>::from_vector({2, 3}).shape() == Shape{2});
  CHECK_FALSE(std::is_constructible_v<Array<int>, int, int>);
  CHECK_FALSE(std::is_constructible_v<Array<int>, std::initializer_list<int>>);
  CHECK_FALSE(std::is_convertible_v<Shape, Array<int>>);
}

TEST_CASE("elements are converted into a new array") {
  const Array<int> a = counted({2, 3});
  const Array<double> reals = a.astype<double>();
  CHECK(reals(1, 2) == 5.0);
  CHECK(reals.shape() == a.shape());
  CHECK(Array<float>::from_vector({1.75F, -1.75F}).astype<int>() ==
        Array<int>::from_vector({1, -1}));
  CHECK(a.astype<bool>().at(0, 0) == false);
  CHECK(a.astype<std::complex<double>>()(0, 1) == std::complex<double>(1));
  CHECK(a.astype<int>().data() != a.data());
  CHECK(Array<const int>(a).astype<long>()(1, 1) == 4);
  CHECK(a.transposed().astype<float>().order() == Order::fortran);
  CHECK(a.transposed().astype<float>()(2, 1) == 5);
  const Array<float> strided = a.slice(1, 0, 3, 2).astype<float>();
  CHECK(strided == Array<float>::from_vector({0, 2, 3, 5}, {2, 2}));
  CHECK(Array<int>({0, 4}).astype<float>().shape() == Shape{0, 4});
}

TEST_CASE("all elements are set, and only those of a view") {
  const Array<int> a = counted({3, 4});
  a.slice(1, 1, 4, 2).fill(-1);
  CHECK(a == Array<int>::from_vector({0, -1, 2, -1, 4, -1, 6, -1, 8, -1, 10, -1}, {3, 4}));
  a.fill(a[2]);
  CHECK(std::ranges::count(a, 2) == 12);
  Array<int>().fill(3);
  CHECK_FALSE(Fillable<Array<const int>>);
  // A function that has a name could not be passed.
  int sum = 0;
  const auto add = [&](int element) { sum += element; };
  a.for_each(add);
  CHECK(sum == 24);
}

TEST_CASE("rows are a range of views") {
  const Array<int> a = counted({3, 4});
  static_assert(std::ranges::random_access_range<decltype(a.rows())>);
  static_assert(std::ranges::sized_range<decltype(a.rows())>);
  std::vector<int> sums;
  for (const Array<int>& row : a.rows()) sums.push_back(std::accumulate(row.begin(), row.end(), 0));
  CHECK(sums == std::vector<int>{6, 22, 38});
  for (auto row : a.rows()) row(0) = 9;
  CHECK(a.slice(1, 0, 1) == Array<int>::from_vector({9, 9, 9}, {3, 1}));
  for (Array<const int> row : Array<const int>(a).rows()) CHECK(row(0) == 9);
  CHECK(a.rows().size() == 3);
  CHECK(a.rows().begin()[2](3) == 11);
  const auto rows = a.transposed().rows();
  CHECK((*--rows.end())(2) == 11);
  CHECK(rows.end() - rows.begin() == 4);
  CHECK(stack(rows | std::views::reverse).row(3) == a.transposed().row(0));
  for (const auto& element : counted({3}).rows()) CHECK(element.ndim() == 0);
  CHECK(std::ranges::empty(Array<int>({0, 3}).rows()));
  CHECK_THROWS_AS(Array<int>(Shape{}).rows(), hoist::BadArgument);
}

TEST_CASE("arrays are joined along an axis") {
  const Array<int> a = counted({2, 3});
  const Array<int> b = counted({1, 3});
  CHECK(concatenate({a, b}) == Array<int>::from_vector({0, 1, 2, 3, 4, 5, 0, 1, 2}, {3, 3}));
  const Array<int> c = counted({2, 1});
  CHECK(concatenate({a, c, a}, 1) ==
        Array<int>::from_vector({0, 1, 2, 0, 0, 1, 2, 3, 4, 5, 1, 3, 4, 5}, {2, 7}));
  // In any order in memory; the results of a loop are a vector.
  const std::vector<Array<const int>> parts{a.transposed(), counted({3, 6}).slice(1, 1, 6, 2)};
  const Array<int> joined = concatenate(parts, 1);
  CHECK(joined ==
        Array<int>::from_vector({0, 3, 1, 3, 5, 1, 4, 7, 9, 11, 2, 5, 13, 15, 17}, {3, 5}));
  CHECK(joined.order() == Order::c);
  CHECK(concatenate(counted({2, 2, 3}).rows()) == counted({4, 3}));
  CHECK(concatenate({Array<int>({0, 3}), b}) == b);
  CHECK(concatenate({Array<int>({2, 0}), a}, 1) == a);
  CHECK(concatenate({Array<int>({2, 0})}).shape() == Shape{2, 0});
  for (std::size_t axis = 0; axis < 3; ++axis) {
    CHECK(concatenate({counted({2, 2, 2}), counted({2, 2, 2})}, axis).shape(axis) == 4);
  }
}

TEST_CASE("arrays of one shape are stacked") {
  const Array<int> a = counted({2, 3});
  const Array<int> both = stack({a, counted({3, 2}).transposed()});
  CHECK(both.shape() == Shape{2, 2, 3});
  CHECK(both.row(0) == a);
  CHECK(both.row(1) == counted({3, 2}).transposed());
  CHECK(stack({Array<int>(Shape{}), Array<int>(Shape{})}).shape() == Shape{2});
  CHECK(stack(std::vector{Array<int>({0})}).shape() == Shape{1, 0});
}

TEST_CASE("what does not fit together names the shapes") {
  const Array<int> a = counted({2, 3});
  const auto says = [](const char* text) { return doctest::Contains(text); };
  CHECK_THROWS_WITH_AS(concatenate({a, counted({3, 2})}, 1), says("(2, 3) and (3, 2)"),
                       hoist::BadArgument);
  CHECK_THROWS_WITH_AS(concatenate({a, counted({6})}), says("(2, 3) and (6)"), hoist::BadArgument);
  CHECK_THROWS_WITH_AS(concatenate({a, a}, 2), says("(2, 3) have no axis 2"), hoist::BadArgument);
  CHECK_THROWS_WITH_AS(concatenate({Array<int>(Shape{})}), says("() have no axis"),
                       hoist::BadArgument);
  CHECK_THROWS_AS(concatenate(std::vector<Array<int>>{}), hoist::BadArgument);
  CHECK_THROWS_WITH_AS(stack({a, counted({2, 4})}), says("(2, 3) and (2, 4)"), hoist::BadArgument);
  CHECK_THROWS_AS(stack(std::vector<Array<int>>{}), hoist::BadArgument);
  const Array<char> huge = Array<char>::wrap(nullptr, {SIZE_MAX / 2});
  CHECK_THROWS_AS(concatenate({huge, huge, huge}), hoist::BadArgument);
}

TEST_CASE("arrays are written as NumPy writes them") {
  CHECK(text_of(counted({3})) == "[0 1 2]");
  CHECK(text_of(counted({2, 3})) == "[[0 1 2]\n [3 4 5]]");
  CHECK(text_of(counted({2, 3}).transposed()) == "[[0 3]\n [1 4]\n [2 5]]");
  CHECK(text_of(counted({2, 1, 2})) == "[[[0 1]]\n\n [[2 3]]]");
  CHECK(text_of(Array<double>::from_vector({1, -2.5, 100})) == "[   1 -2.5  100]");
  CHECK(text_of(counted({1}).row(0)) == "0");
  CHECK(text_of(Array<int>({0, 3})) == "[]");
  CHECK(text_of(Array<const std::uint8_t>::from_vector({1, 65})) == "[ 1 65]");
  CHECK(text_of(Array<Colour>({1})) == "[0]");
  Array<Named> named({2});
  named.fill({'a'});
  CHECK(text_of(named) == "[<a> <a>]");
  CHECK_FALSE(Writable<Array<Opaque>>);
  std::ostringstream out;
  out << std::setprecision(2) << std::boolalpha << Array<double>::from_vector({1.0 / 3}) << ' '
      << counted({2}).astype<bool>();
  CHECK(out.str() == "[0.33] [false  true]");
  CHECK(text_of(counted({25})) ==
        "[ 0  1  2  3  4  5  6  7  8  9 10 11 12 13 14 15 16 17 18 19 20 21 22 23\n 24]");
}

TEST_CASE("the text of a large array is short") {
  CHECK(text_of(counted({1001})) == "[   0    1    2 ...  998  999 1000]");
  CHECK(text_of(counted({1000})).size() > 3900);
  CHECK(text_of(counted({500, 4}).astype<float>()) ==
        "[[   0    1    2    3]\n [   4    5    6    7]\n [   8    9   10   11]\n ...\n"
        " [1988 1989 1990 1991]\n [1992 1993 1994 1995]\n [1996 1997 1998 1999]]");
  for (std::size_t ndim = 3; ndim <= 20; ++ndim) {
    const Array<char> array(Shape(ndim, ndim < 8 ? 5 : 2));
    CHECK(text_of(array).size() < 10'000);
  }
  int one = 1;
  const auto vast = Array<int>::wrap(&one, {1, std::size_t{1} << 60}).slice(1, 0, 1);
  CHECK(text_of(vast) == "[[1]]");
}
