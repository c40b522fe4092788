// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>
#include <hoist/dump.hpp>

#include <string>
#include <variant>
#include <vector>
#include <version>

#if defined(__cpp_lib_expected)
#include <expected>
#endif

#include "support/temp_dir.hpp"
#include "support/values.hpp"

TEST_CASE("std::expected, where there is one, is a value stored as a variant") {
#if defined(__cpp_lib_expected)
  using support::round_trip;
  using Expected = std::expected<std::vector<int>, std::string>;
  static_assert(hoist::Storable<Expected>);
  static_assert(!hoist::Storable<std::expected<int*, int>>);
  const Expected good(std::vector<int>{1, 2});
  const Expected bad = std::unexpected("full");
  CHECK(round_trip(good) == good);
  CHECK(round_trip(bad) == bad);
  CHECK(hoist::hash(good) != hoist::hash(bad));
  CHECK(round_trip(std::expected<void, int>()).has_value());
  CHECK(round_trip(std::expected<void, int>(std::unexpected(7))).error() == 7);
  CHECK(round_trip(std::vector<std::expected<int, int>>{1, std::unexpected(2)})[1].error() == 2);

  const support::TempDir dir;
  hoist::dump(bad, dir / "e");
  CHECK(std::get<1>(hoist::load<std::variant<std::vector<int>, std::string>>(dir / "e")) == "full");
  CHECK(hoist::load<Expected>(dir / "e") == bad);
#endif
}
