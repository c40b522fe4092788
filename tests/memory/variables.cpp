// SPDX-License-Identifier: BSD-3-Clause
//
// A global that main set was read by cached functions with the value of an earlier call.
#include <doctest/doctest.h>
#include <hoist/memory.hpp>

#include <array>
#include <atomic>
#include <cstdint>
#include <string>

#include "support/noinline.hpp"
#include "support/sanitized.hpp"
#include "support/temp_dir.hpp"

using hoist::Memory;
using support::TempDir;

namespace variables_test {

enum class Mode : std::uint8_t { plain, doubled };
struct Config {
  double rate = 1;
  int depth = 2;
  std::array<int, 3> weights = {1, 2, 3};
};

int threshold = 3;
bool negated = false;
double factor = 0.5;
Mode mode = Mode::plain;
std::array<int, 5> table = {1, 2, 3, 4, 5};
Config config;
std::atomic<int> level = 7;
thread_local int per_thread = 1;
int behind = 4;
int* pointer = &behind;
int calls = 0;
const int limit = 40;

HOIST_TEST_NOINLINE int with_threshold(int x) { return x > threshold ? x - threshold : 0; }
HOIST_TEST_NOINLINE int with_bool(int x) { return negated ? -x : x; }
HOIST_TEST_NOINLINE double with_double(int x) { return x * factor; }
HOIST_TEST_NOINLINE int with_enum(int x) { return mode == Mode::doubled ? 2 * x : x; }
HOIST_TEST_NOINLINE int with_array(int x) {
  int sum = 0;
  for (const int value : table) sum += value * x;
  return sum;
}
HOIST_TEST_NOINLINE int weighted(const Config& c, int x) {
  return static_cast<int>(c.rate * x * c.weights[1]);
}
HOIST_TEST_NOINLINE double with_struct(int x) { return weighted(config, x) + config.depth; }
HOIST_TEST_NOINLINE int with_atomic(int x) { return x + level.load(); }
HOIST_TEST_NOINLINE int with_thread_local(int x) { return x + per_thread; }
HOIST_TEST_NOINLINE int counting(int x) { return x + ++calls * 0; }
HOIST_TEST_NOINLINE int with_constant(int x) { return x + limit; }
HOIST_TEST_NOINLINE int through_pointer(int x) { return x + *pointer; }

/// Whether a call with 5 is a miss and gives `right`.
template <class Cached, class R>
bool computes(const Memory& memory, const Cached& cached, R right) {
  const auto before = memory.stats().misses;
  CHECK(cached(5) == right);
  return memory.stats().misses == before + 1;
}

/// Calls with one value of a variable, another one, and the first again.
template <class F, class T, class R>
void check(F f, T& variable, T other, R first_result, R other_result) {
  TempDir dir;
  const Memory memory(dir.path());
  const auto cached = memory.cache(f);
  const T first = variable;
  CHECK(computes(memory, cached, first_result));
  CHECK_FALSE(computes(memory, cached, first_result));
  variable = other;
  CHECK(computes(memory, cached, other_result));
  CHECK_FALSE(computes(memory, cached, other_result));
  CHECK(cached.check_call_in_cache(5));
  variable = first;
  CHECK_FALSE(computes(memory, cached, first_result));
}

}  // namespace variables_test

using namespace variables_test;

TEST_CASE("variables that a cached function reads" * doctest::skip(support::sanitized)) {
  check(with_threshold, threshold, 1, 2, 4);
  check(with_bool, negated, true, 5, -5);
  check(with_double, factor, 3.0, 2.5, 15.0);
  check(with_enum, mode, Mode::doubled, 5, 10);
  check(with_array, table, std::array<int, 5>{9, 9, 9, 9, 9}, 75, 225);
  check(with_struct, config, Config{.rate = 3, .depth = 1, .weights = {1, 1, 1}}, 12.0, 16.0);
  check(with_thread_local, per_thread, 2, 6, 7);
  TempDir dir;
  const Memory memory(dir.path());
  const auto cached = memory.cache(with_atomic);
  CHECK(computes(memory, cached, 12));
  level = 8;
  CHECK(computes(memory, cached, 13));
  level = 7;
  CHECK_FALSE(computes(memory, cached, 12));
}

TEST_CASE("variables that a cached function writes, and constants, are no part of its key") {
  TempDir dir;
  const Memory memory(dir.path());
  const auto cached = memory.cache(counting);
  CHECK(computes(memory, cached, 5));
  CHECK(calls == 1);
  CHECK_FALSE(computes(memory, cached, 5));
  calls = 17;
  CHECK_FALSE(computes(memory, cached, 5));
  const auto constant = memory.cache(with_constant);
  CHECK(computes(memory, constant, 45));
  CHECK_FALSE(computes(memory, constant, 45));
}

TEST_CASE("an address in a variable counts only as one" * doctest::skip(support::sanitized)) {
  TempDir dir;
  const Memory memory(dir.path());
  const auto cached = memory.cache(through_pointer);
  CHECK(computes(memory, cached, 9));
  int elsewhere = 4;
  pointer = &elsewhere;
  CHECK_FALSE(computes(memory, cached, 9));
  pointer = &behind;
  const std::string report = hoist::explain(through_pointer).text();
  CHECK(report.find("(value in the key, without what its addresses lead to)") != std::string::npos);
}

TEST_CASE("explain tells whose value counts" * doctest::skip(support::sanitized)) {
  CHECK(hoist::explain(with_threshold).text().find("(value in the key)") != std::string::npos);
  CHECK(hoist::explain(counting).text().find("(value not in the key: the function writes it)") !=
        std::string::npos);
  TempDir dir;
  const auto cached = Memory(dir.path()).cache(with_threshold);
  cached(1);
  CHECK(cached.explain_miss(5).find("and what the variables that it reads hold now") !=
        std::string::npos);
}

TEST_CASE("a version takes the place of variables too") {
  TempDir dir;
  const Memory memory(dir.path());
  const auto cached = memory.cache(with_threshold, {.version = "1"});
  CHECK(computes(memory, cached, 2));
  threshold = 1;
  CHECK_FALSE(computes(memory, cached, 2));
  threshold = 3;
}
