// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>
#include <hoist/error.hpp>
#include <hoist/zip.hpp>

#include <limits>
#include <list>
#include <sstream>
#include <string>
#include <vector>

using namespace hoist;

namespace {
using Numbers = std::vector<int>;
}

static_assert(std::ranges::random_access_range<decltype(zip(std::declval<Numbers&>(),
                                                            std::views::iota(0, 3)))>);
static_assert(std::ranges::sized_range<decltype(zip(std::declval<Numbers&>()))>);
static_assert(std::ranges::view<decltype(zip(std::declval<Numbers&>()))>);
static_assert(std::ranges::forward_range<decltype(zip(std::declval<std::list<int>&>()))>);
static_assert(
    !std::ranges::forward_range<decltype(zip(std::declval<std::ranges::istream_view<int>>()))>);
static_assert(std::ranges::random_access_range<decltype(product(std::declval<Numbers&>(),
                                                                std::views::iota(0, 3)))>);

TEST_CASE("a zip ends with its shortest range") {
  Numbers numbers{1, 2, 3};
  const std::list<std::string> words{"a", "b"};
  std::string text;
  for (const auto& [n, word] : zip(numbers, words)) text += std::to_string(n) + word;
  CHECK(text == "1a2b");
  auto indexed = zip(numbers, std::views::iota(10, 20), numbers);
  CHECK(indexed.size() == 3);
  CHECK(indexed[2] == std::tuple(3, 12, 3));
  CHECK(indexed.end() - indexed.begin() == 3);
  CHECK(*--indexed.end() == std::tuple(3, 12, 3));
  for (auto [n, i, m] : indexed) n = 0;
  CHECK(numbers == Numbers{0, 0, 0});
  std::istringstream stream("5 6");
  int sum = 0;
  for (const auto& [i, n] : zip(std::views::iota(1), std::views::istream<int>(stream)))
    sum += i * n;
  CHECK(sum == 17);
}

TEST_CASE("a product is in the order of nested loops") {
  const Numbers tens{10, 20};
  std::string text;
  for (const auto [ten, one] : product(tens, std::views::iota(0, 3))) {
    text += std::to_string(ten + one) + ' ';
  }
  CHECK(text == "10 11 12 20 21 22 ");
  CHECK(product(tens, Numbers()).empty());
  CHECK(product(tens, tens, tens).size() == 8);
  CHECK(product(tens, tens, tens)[3] == std::tuple(10, 20, 20));
  // One whose size can't be counted had a size that was wrong.
  const auto huge = std::views::iota(std::int64_t{0}, std::numeric_limits<std::int64_t>::max());
#if !defined(__cpp_lib_ranges_cartesian_product)
  CHECK_THROWS_AS(product(huge, tens).end(), BadArgument);
#endif
  CHECK(product(huge, Numbers()).empty());
}
