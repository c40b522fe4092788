// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>

#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/coroutine.hpp"

using hoist::detail::base::Coroutine;

TEST_CASE("a coroutine takes turns with its caller") {
  std::vector<int> seen;
  int passed = 0;
  std::optional<Coroutine> coroutine;
  coroutine.emplace([&] {
    for (int i = 0; i < 3; ++i) {
      CHECK(coroutine->inside());
      seen.push_back(passed);
      coroutine->suspend();
    }
  });
  CHECK(seen.empty());
  for (passed = 10; !coroutine->done(); ++passed) {
    coroutine->resume();
    CHECK_FALSE(coroutine->inside());
  }
  CHECK(seen == std::vector{10, 11, 12});
}

TEST_CASE("what a coroutine throws comes out of resume, also in the midst of a handler") {
  std::optional<Coroutine> coroutine;
  coroutine.emplace([&] {
    try {
      throw std::runtime_error("inner");
    } catch (const std::runtime_error&) {
    }
    coroutine->suspend();
    throw std::runtime_error("outer");
  });
  coroutine->resume();
  try {
    throw std::logic_error("of the caller");
  } catch (const std::logic_error& error) {
    CHECK_THROWS_WITH_AS(coroutine->resume(), "outer", std::runtime_error);
    CHECK(std::string(error.what()) == "of the caller");
  }
  CHECK(coroutine->done());
}

TEST_CASE("a coroutine that is not needed any more is unwound") {
  struct Guard {
    bool& left;
    ~Guard() { left = true; }
  };
  bool left = false;
  {
    std::optional<Coroutine> coroutine;
    coroutine.emplace([&] {
      const Guard guard{left};
      coroutine->suspend();
      FAIL("nobody resumed it");
    });
    coroutine->resume();
    CHECK_FALSE(left);
  }
  CHECK(left);
  const Coroutine never_begun([] { FAIL("nobody resumed it"); });
}

TEST_CASE("coroutines nest, and recur as deep as their callers") {
  std::optional<Coroutine> outer;
  int sum = 0;
  const auto recur = [](const auto& self, int depth) -> int {
    volatile char frame[4096];
    frame[depth % 4096] = 1;
    return depth == 0 ? 0 : frame[depth % 4096] + self(self, depth - 1);
  };
  outer.emplace([&] {
    std::optional<Coroutine> inner;
    inner.emplace([&] {
      for (;;) {
        sum += recur(recur, 1000);
        inner->suspend();
      }
    });
    for (int i = 0; i < 3; ++i) {
      inner->resume();
      outer->suspend();
    }
  });
  while (!outer->done()) outer->resume();
  CHECK(sum == 3000);
}
