// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>
#include <hoist/array.hpp>
#include <hoist/dump.hpp>

#include <sstream>
#include <string>
#include <vector>

using hoist::Array;
using hoist::dump;
using hoist::load;

TEST_CASE("values follow one another in a stream, compressed or not") {
  std::stringstream stream;
  const auto array = Array<double>::from_vector(std::vector<double>(5000, 1.5));
  dump(1, stream);
  dump(array, stream, {.compress = true});
  dump(std::string("two"), stream, {.compress = {"gzip", 9}});
  dump(array, stream);
  stream << "rest";
  CHECK(load<int>(stream) == 1);
  CHECK(load<Array<double>>(stream) == array);
  CHECK(load<std::string>(stream) == "two");
  CHECK(load<Array<double>>(stream) == array);
  std::string rest;
  stream >> rest;
  CHECK(rest == "rest");
}

TEST_CASE("a stream that has ended, or holds something else, says so") {
  std::stringstream stream;
  CHECK_THROWS_AS(load<int>(stream), hoist::NotFound);
  stream << "too short";
  CHECK_THROWS_AS(load<int>(stream), hoist::DamagedData);
  std::ostringstream bad;
  bad.setstate(std::ios::badbit);
  CHECK_THROWS_AS(dump(1, bad), hoist::SystemError);
}
