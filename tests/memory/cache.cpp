// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>
#include <hoist/array.hpp>
#include <hoist/memory.hpp>

#include <atomic>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "support/temp_dir.hpp"

using hoist::Array;
using hoist::CacheOptions;
using hoist::Memory;
using support::TempDir;

namespace {

std::atomic<int> calls{0};

int twice(int x) {
  ++calls;
  return 2 * x;
}

int thrice(int x) {
  ++calls;
  return 3 * x;
}

struct Params {
  int depth = 3;
  double rate = 0.5;
};

std::vector<double> train(const Array<double>& data, Params params) {
  ++calls;
  return {data.at(0), params.rate, static_cast<double>(params.depth)};
}

struct Scale {
  double factor;
  double operator()(double x) const {
    ++calls;
    return factor * x;
  }
};

int runs(const auto& work) {
  const int before = calls;
  work();
  return calls - before;
}

}  // namespace

TEST_CASE("a function runs once for each of its arguments") {
  const TempDir dir;
  const Memory memory(dir.path());
  const auto cached = memory.cache(twice);
  CHECK(runs([&] { CHECK(cached(21) == 42); }) == 1);
  CHECK(runs([&] { CHECK(cached(21) == 42); }) == 0);
  CHECK(runs([&] { CHECK(cached(4) == 8); }) == 1);
  const auto other = memory.cache(thrice);
  CHECK(runs([&] { CHECK(other(21) == 63); }) == 1);
  CHECK(runs([&] { CHECK(cached(21) == 42); }) == 0);
  const Memory again(dir.path());
  CHECK(runs([&] { CHECK(again.cache(twice)(21) == 42); }) == 0);
  CHECK(runs([&] { CHECK(again.cache<twice>()(4) == 8); }) == 0);
  CHECK(runs([&] { CHECK(again.cache<twice>()(5) == 10); }) == 1);
  CHECK(again.stats().hits == 2);
  CHECK(again.stats().misses == 1);
  CHECK(again.stats().stored == 1);
  CHECK(again.stats().bytes > 100);
  CHECK(again.stats().functions.at(cached.name()).hits == 2);
}

TEST_CASE("without a location every call computes") {
  const Memory memory;
  const auto cached = memory.cache(twice);
  CHECK(runs([&] { CHECK(cached(1) + cached(1) == 4); }) == 2);
  CHECK_FALSE(cached.check_call_in_cache(1));
  CHECK(cached.call_and_shelve(2).get() == 4);
  CHECK(cached.call(3).value == 6);
  cached.clear();
  memory.clear();
}

TEST_CASE("arguments, fields and captures make the key") {
  const TempDir dir;
  const Memory memory(dir.path());
  const auto fit = memory.cache(train);
  const auto data = Array<double>::from_vector({1, 2, 3});
  CHECK(runs([&] { CHECK(fit(data, {.depth = 8}) == std::vector<double>{1, 0.5, 8}); }) == 1);
  CHECK(runs([&] { fit(data.copy(), {.depth = 8}); }) == 0);
  CHECK(runs([&] { fit(data, {.depth = 9}); }) == 1);

  CHECK(runs([&] { CHECK(memory.cache(Scale{2})(3.5) == 7); }) == 1);
  CHECK(runs([&] { CHECK(memory.cache(Scale{2})(3.5) == 7); }) == 0);
  CHECK(runs([&] { CHECK(memory.cache(Scale{3})(3.5) == 10.5); }) == 1);

  for (const double factor : {2.0, 3.0, 2.0}) {
    const int shift = static_cast<int>(factor);
    const auto line = [factor, shift](double x) { return factor * x + shift; };
    CHECK(memory.cache(line)(5) == factor * 5 + factor);
  }
  int here = 0;
  CHECK_THROWS_AS(memory.cache([&here](int x) { return x + here; }), hoist::BadArgument);
}

TEST_CASE("a damaged entry is computed anew") {
  const TempDir dir;
  const Memory memory(dir.path());
  const auto cached = memory.cache(twice);
  cached(21);
  for (const auto& entry : std::filesystem::recursive_directory_iterator(dir.path())) {
    if (entry.path().extension() == ".hoist") support::spill(entry.path(), "rubbish");
  }
  CHECK(runs([&] { CHECK(cached(21) == 42); }) == 1);
  CHECK(runs([&] { CHECK(cached(21) == 42); }) == 0);
  CHECK(memory.stats().errors == 1);
}

TEST_CASE("exceptions pass through and are not cached") {
  const TempDir dir;
  const Memory memory(dir.path());
  const auto failing = memory.cache([](int x) -> int {
    ++calls;
    if (x < 0) throw std::domain_error("negative");
    return x;
  });
  CHECK(runs([&] {
          CHECK_THROWS_AS(failing(-1), std::domain_error);
          CHECK_THROWS_AS(failing(-1), std::domain_error);
        }) == 2);
}
