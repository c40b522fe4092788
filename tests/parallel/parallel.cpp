// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>
#include <hoist/backend.hpp>
#include <hoist/error.hpp>
#include <hoist/parallel.hpp>

#include <atomic>
#include <list>
#include <memory>
#include <numeric>
#include <ranges>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

using hoist::delayed;
using hoist::Parallel;

namespace {

int square(int x) { return x * x; }

struct NoDefault {
  explicit NoDefault(int v) : value(v) {}
  int value;
};

/// The smallest backend there can be: one more way to run in the caller.
class OneByOne final : public hoist::Backend {
 public:
  void run(hoist::Loop& loop, int) override {
    hoist::Loop::Worker worker;
    while (const auto batch = loop.next(worker)) {
      for (std::size_t i = batch->begin; i < batch->end; ++i) loop.run({i, i + 1});
    }
  }
};

const std::vector<std::string>& backends() {
  static const std::vector<std::string> all = [] {
    hoist::register_backend("one_by_one", [] { return std::make_unique<OneByOne>(); });
    return std::vector<std::string>{"sequential", "threads", "one_by_one"};
  }();
  return all;
}

}  // namespace

TEST_CASE("results are those of a serial loop, in order") {
  for (const auto& backend : backends()) {
    for (const int n_jobs : {1, 2, 7, -1, -2, -100}) {
      CAPTURE(backend);
      CAPTURE(n_jobs);
      const Parallel parallel({.n_jobs = n_jobs, .backend = backend});
      std::vector<int> inputs(1000);
      std::iota(inputs.begin(), inputs.end(), 0);
      std::vector<int> expected;
      for (const int x : inputs) expected.push_back(square(x));
      CHECK(parallel.map(inputs, square) == expected);
      CHECK(parallel(inputs | std::views::transform([](int x) { return delayed(square)(x); })) ==
            expected);
      std::atomic<long> sum = 0;
      parallel.for_each(std::views::iota(0, 1000), [&](int x) { sum += x; });
      CHECK(sum == 499500);
      CHECK(parallel.map(std::vector<int>{}, square).empty());
      parallel.for_each(std::views::empty<int>, square);
    }
  }
}

TEST_CASE("any input range and any result type") {
  const Parallel parallel({.n_jobs = 3});
  std::istringstream words("a bb ccc");
  CHECK(parallel.map(std::views::istream<std::string>(words), [](const std::string& w) {
    return w.size();
  }) == std::vector<std::size_t>{1, 2, 3});
  const std::list<int> list{1, 2, 3};
  CHECK(parallel.map(list, [](int x) { return x % 2 == 0; }) == std::vector<bool>{false, true, false});
  CHECK(parallel.map(list, [](int x) { return NoDefault(x); })[2].value == 3);
  CHECK(*parallel.map(list, [](int x) { return std::make_unique<int>(x); })[1] == 2);
  parallel.map(list, [](int) {});
  std::vector<int> written(3, 1);
  parallel.for_each(written, [](int& x) { x = 5; });
  CHECK(written == std::vector<int>{5, 5, 5});
}

TEST_CASE("calls of different types give a tuple") {
  for (const auto& backend : backends()) {
    const Parallel parallel({.n_jobs = 2, .backend = backend});
    const auto [number, text, nothing] =
        parallel(delayed(square)(4), delayed([](std::string s) { return s + "!"; })("hi"),
                 delayed([] {})());
    CHECK(number == 16);
    CHECK(text == "hi!");
    CHECK(nothing == std::monostate{});
  }
}

TEST_CASE("a task's exception arrives with its type and stops the loop") {
  for (const auto& backend : backends()) {
    CAPTURE(backend);
    const Parallel parallel({.n_jobs = 4, .backend = backend});
    std::atomic<int> running = 0;
    std::atomic<int> ran = 0;
    const auto task = [&](int i) {
      ++running;
      ++ran;
      if (i == 10) {
        --running;
        throw std::out_of_range("task 10");
      }
      std::this_thread::sleep_for(std::chrono::microseconds(200));
      --running;
      return i;
    };
    CHECK_THROWS_WITH_AS(parallel.map(std::views::iota(0, 10000), task), "task 10",
                         std::out_of_range);
    CHECK(running == 0);
    CHECK(ran < 5000);
    CHECK(parallel.map(std::vector<int>{2}, square) == std::vector<int>{4});
  }
}

TEST_CASE("nested loops and many callers don't deadlock") {
  const Parallel outer({.n_jobs = 4});
  const auto sums = outer.map(std::views::iota(0, 20), [](int i) {
    const auto inner = Parallel({.n_jobs = 4}).map(std::views::iota(0, 50), [i](int j) {
      return Parallel({.n_jobs = 2}).map(std::vector<int>{i, j}, square)[1];
    });
    return std::accumulate(inner.begin(), inner.end(), 0);
  });
  CHECK(sums == std::vector<int>(20, 40425));
  std::vector<std::jthread> callers;
  for (int t = 0; t < 16; ++t) {
    callers.emplace_back([&] {
      for (int round = 0; round < 50; ++round) {
        if (outer.map(std::views::iota(0, 30), square)[29] != 841) std::abort();
      }
    });
  }
}

TEST_CASE("options that can't be meant are refused") {
  CHECK_THROWS_WITH_AS(Parallel({.n_jobs = 0}), doctest::Contains("n_jobs"), hoist::BadArgument);
  CHECK_THROWS_WITH_AS(Parallel({.backend = "teleport"}), doctest::Contains("sequential, threads"),
                       hoist::BadArgument);
  CHECK_THROWS_AS(hoist::register_backend("threads", [] { return std::make_unique<OneByOne>(); }),
                  hoist::BadArgument);
  CHECK_THROWS_AS(hoist::register_backend("", [] { return std::make_unique<OneByOne>(); }),
                  hoist::BadArgument);
}
