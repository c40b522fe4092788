// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>
#include <hoist/dump.hpp>
#include <hoist/hash.hpp>
#include <hoist/value.hpp>

#include <array>
#include <cstdint>
#include <span>
#include <sstream>
#include <string>
#include <vector>

#include "support/temp_dir.hpp"

using hoist::dump;
using hoist::hash;
using hoist::load;

TEST_CASE("spans are dumped and hashed as vectors, whoever owns the elements") {
  const support::TempDir dir;
  const std::vector<double> numbers(5000, 1.5);
  const std::vector<std::string> words{"a", "b", "c"};
  std::array<std::int32_t, 3> three{1, 2, 3};
  for (const char* name : {"s.hoist", "s.hoist.zst", "s.npy", "s.joblib"}) {
    CAPTURE(name);
    dump(std::span(numbers), dir / name);
    CHECK(load<std::vector<double>>(dir / name) == numbers);
    dump(std::span(three), dir / name);
    CHECK(load<std::vector<std::int32_t>>(dir / name) == std::vector<std::int32_t>{1, 2, 3});
  }
  dump(std::span(numbers).subspan(10, 20), dir / "part.npy");
  CHECK(load<std::vector<double>>(dir / "part.npy").size() == 20);
  dump(std::span(words), dir / "w.hoist");
  CHECK(load<std::vector<std::string>>(dir / "w.hoist") == words);
  std::stringstream stream;
  dump(std::span(words).first(2), stream);
  dump(std::span<const double>(), stream);
  CHECK(load<std::vector<std::string>>(stream).size() == 2);
  CHECK(load<std::vector<double>>(stream).empty());

  CHECK(hash(std::span(numbers)) == hash(numbers));
  CHECK(hash(std::span(words)) == hash(words));
  CHECK(hash(std::span<const std::int32_t, 3>(three)) == hash(std::vector<std::int32_t>{1, 2, 3}));
  CHECK(hash(std::span(numbers).first(10)) != hash(std::span(numbers).first(11)));
}
