// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>
#include <hoist/code.hpp>
#include <hoist/parallel.hpp>

#include <chrono>
#include <cstdio>
#include <numeric>
#include <string>
#include <vector>

#include "support/child_program.hpp"

using namespace hoist;

namespace {

int limit = 3;
double scale;  // zero-initialised: workers don't see what main assigns to it either
const std::string greeting = std::string("made before main in ") + "every process";
int counted = 0;
int threshold = 7;

int below_limit(int x) { return x < limit ? 1 : 0; }
double scaled(double x) { return x * scale + 1; }
int greeted(int x) { return x + static_cast<int>(greeting.size()); }
int count(int x) { return x + ++counted; }
int over_threshold(int x) { return x > threshold ? 1 : 0; }

Parallel spawn() { return Parallel({.n_jobs = 2, .backend = "spawn"}); }
const std::vector<int> numbers{1, 2, 3, 4, 5, 6, 7, 8};

int occurrences(const std::string& text, const std::string& part) {
  int found = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

}  // namespace

TEST_CASE("(child) loops whose functions read variables" * doctest::skip()) {
  // The check needs the decoder that comes with cached functions.
  CHECK(explain(below_limit).exact);
  static_cast<void>(spawn().map(numbers, below_limit));  // as it was: nothing to say
  std::fputs("== changed\n", stderr);
  limit = 5;
  scale = 2;
  counted = 9;
  threshold = 100;
  const auto ones = spawn().map(numbers, below_limit);
  CHECK(std::accumulate(ones.begin(), ones.end(), 0) == 2);  // of those below 3
  static_cast<void>(spawn().map(numbers, below_limit));
  static_cast<void>(spawn().map(numbers, greeted));
  static_cast<void>(spawn().map(numbers, count));
  static_cast<void>(spawn()(delayed(scaled)(1.0), delayed(scaled)(2.0)));
  static_cast<void>(spawn().map(numbers, [](int x) { return over_threshold(x); }));
}

TEST_CASE("a loop says once which variables its workers do not see as they are here") {
  support::ChildProgram child("(child) loops whose functions read variables");
  REQUIRE(child.ends_within(std::chrono::seconds(20)));
  CHECK(child.exit_code() == 0);
  const std::string text = child.errors();
  const std::string before = text.substr(0, text.find("== changed"));
  CHECK(occurrences(before, "hoist:") == 0);
  CHECK(occurrences(text, "limit\"") == 1);
  CHECK(occurrences(text, "scale\"") == 1);
  CHECK(occurrences(text, "threshold\"") == 1);
  CHECK(occurrences(text, "greeting") == 0);
  CHECK(occurrences(text, "counted") == 0);
  CHECK(occurrences(text, "initializer") == 3);
}
