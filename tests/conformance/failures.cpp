// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>
#include <hoist/error.hpp>
#include <hoist/parallel.hpp>

#include <atomic>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <thread>

#include "conformance/support.hpp"
#include "support/temp_dir.hpp"

using namespace hoist;
using namespace std::chrono_literals;
using conformance::backends;

namespace {

int fail_at_ten(int i) {
  if (i == 10) throw std::out_of_range("task 10");
  return i;
}

int fail_on_odd(int i) {
  if (i % 2 == 1) throw std::invalid_argument("odd " + std::to_string(i));
  return i;
}

/// Function objects, because a lambda that captures a string by value can't be sent.
struct CountThenFailAtTen {
  std::string counter;
  int operator()(int i) const {
    std::ofstream(counter, std::ios::app) << 'x';
    if (i == 10) throw std::out_of_range("task 10");
    std::this_thread::sleep_for(200us);
    return i;
  }
};

struct FailTwice {
  std::string base;
  int operator()(int i) const {
    const std::string mark = base + std::to_string(i);
    const auto before = std::filesystem::exists(mark) ? std::filesystem::file_size(mark) : 0;
    std::ofstream(mark, std::ios::app) << 'x';
    if (before < 2) throw std::runtime_error("not yet");
    return i;
  }
};

auto odd_calls(int n) {
  return std::views::iota(0, n) |
         std::views::transform([](int i) { return delayed(fail_on_odd)(i); });
}

}  // namespace

TEST_CASE("the first failure arrives with its type, and the object stays usable") {
  for (const auto& backend : backends()) {
    CAPTURE(backend);
    const Parallel parallel({.n_jobs = 4, .backend = backend});
    for (int round = 0; round < 3; ++round) {
      CHECK_THROWS_WITH_AS(parallel.map(std::views::iota(0, 10000), fail_at_ten), "task 10",
                           std::out_of_range);
      CHECK_THROWS_AS(parallel(odd_calls(100)), std::invalid_argument);
      CHECK_THROWS_AS(parallel(delayed(fail_at_ten)(1), delayed(fail_at_ten)(10)),
                      std::out_of_range);
      CHECK(parallel.map(std::vector{2}, fail_at_ten) == std::vector{2});
    }
  }
}

TEST_CASE("after a failure nothing of the loop runs any more, and most was never begun") {
  const support::TempDir dir;
  for (const auto& backend : backends()) {
    CAPTURE(backend);
    const std::string counter = (dir / ("count_" + backend)).string();
    const CountThenFailAtTen task{counter};
    CHECK_THROWS_AS(
        Parallel({.n_jobs = 4, .backend = backend}).map(std::views::iota(0, 10000), task),
        std::out_of_range);
    const auto ran = std::filesystem::file_size(counter);
    CHECK(ran < 5000);
    std::this_thread::sleep_for(20ms);
    CHECK(std::filesystem::file_size(counter) == ran);
  }
}

TEST_CASE("OnError::finish runs all, then tells all") {
  for (const auto& backend : backends()) {
    CAPTURE(backend);
    const Parallel parallel({.n_jobs = 2, .backend = backend, .on_error = OnError::finish});
    for (const bool lazily : {false, true}) {
      try {
        if (lazily) {
          parallel(odd_calls(20));
        } else {
          parallel.map(std::views::iota(0, 20), fail_on_odd);
        }
        FAIL("no error");
      } catch (const LoopErrors& errors) {
        CHECK(errors.failures().size() == 10);
        CHECK(errors.failures()[3].index == 7);
        CHECK_THROWS_WITH_AS(std::rethrow_exception(errors.failures()[3].error), "odd 7",
                             std::invalid_argument);
        CHECK(errors.results<int>()[6] == 6);
        CHECK(!errors.results<int>()[7]);
        CHECK_THROWS_WITH_AS(errors.results<std::string>(),
                             "LoopErrors::results() was asked for std::string; the loop's results "
                             "are of type int",
                             BadArgument);
      }
    }
    int yielded = 0;
    CHECK_THROWS_AS(
        [&] {
          for (const int value : parallel.generator(odd_calls(20))) {
            CHECK(value == 2 * yielded);
            ++yielded;
          }
        }(),
        LoopErrors);
    CHECK(yielded == 10);
  }
}

TEST_CASE("outcomes hold values and errors, and never throw for a task") {
  for (const auto& backend : backends()) {
    CAPTURE(backend);
    const Parallel parallel({.n_jobs = 2, .backend = backend, .retries = 1});
    for (const auto& outcomes : {parallel.outcomes(odd_calls(20)),
                                 parallel.map_outcomes(std::views::iota(0, 20), fail_on_odd)}) {
      REQUIRE(outcomes.size() == 20);
      for (std::size_t i = 0; i < 20; ++i) {
        CHECK(outcomes[i].index() == i);
        CHECK(outcomes[i].has_value() == (i % 2 == 0));
        CHECK(outcomes[i].attempts() == (i % 2 == 0 ? 1 : 2));
        CHECK(outcomes[i].seconds() >= 0);
        if (i % 2 == 0) {
          CHECK(static_cast<std::size_t>(outcomes[i].value()) == i);
        } else {
          CHECK_THROWS_AS(outcomes[i].value(), std::invalid_argument);
        }
      }
    }
  }
}

TEST_CASE("retries run a failed task again") {
  const support::TempDir dir;
  for (const auto& backend : backends()) {
    CAPTURE(backend);
    const std::string base = (dir / backend).string();
    const FailTwice flaky{base};
    CHECK(Parallel({.n_jobs = 2, .backend = backend, .retries = 2})
              .map(std::views::iota(0, 20), flaky)[19] == 19);
    std::filesystem::remove(base + "3");
    CHECK_THROWS_WITH_AS(Parallel({.n_jobs = 2, .backend = backend, .retries = 1})
                             .map(std::views::iota(0, 20), flaky),
                         "not yet", std::runtime_error);
  }
}

TEST_CASE("an input that throws, at its first, middle or last item") {
  for (const auto& backend : backends()) {
    for (const int at : {0, 50, 99}) {
      CAPTURE(backend);
      CAPTURE(at);
      auto input = std::views::iota(0, 100) | std::views::transform([at](int i) {
                     if (i == at) throw std::domain_error("input");
                     return delayed(fail_at_ten)(i % 10);
                   });
      const Parallel parallel({.n_jobs = 2, .backend = backend});
      CHECK_THROWS_WITH_AS(parallel(input), "input", std::domain_error);
      CHECK_THROWS_WITH_AS(parallel.outcomes(input), "input", std::domain_error);
      int yielded = 0;
      CHECK_THROWS_WITH_AS(
          [&] {
            for (const int value : parallel.generator(input)) yielded += value >= 0 ? 1 : 0;
          }(),
          "input", std::domain_error);
      CHECK(yielded == at);
    }
  }
}

TEST_CASE("a loop's time limit") {
  const auto nap = [](int i) {
    std::this_thread::sleep_for(5ms);
    return i;
  };
  for (const auto& backend : backends()) {
    for (const int n_jobs : {1, 2}) {
      CAPTURE(backend);
      CAPTURE(n_jobs);
      CHECK_THROWS_WITH_AS(Parallel({.n_jobs = n_jobs, .backend = backend, .timeout = 50ms})
                               .map(std::views::iota(0, 1000), nap),
                           doctest::Contains("timeout"), TimedOut);
      CHECK(Parallel({.n_jobs = n_jobs, .backend = backend, .timeout = 60})
                .map(std::views::iota(0, 3), nap)
                .size() == 3);
    }
  }
}

TEST_CASE("a task's time limit names the task; others go on") {
  const auto nap = [](int i) {
    std::this_thread::sleep_for(i == 3 ? 500ms : 0ms);
    return i;
  };
  for (const auto& backend : backends()) {
    for (const int n_jobs : {1, 2}) {
      CAPTURE(backend);
      CAPTURE(n_jobs);
      const Parallel parallel({.n_jobs = n_jobs, .backend = backend, .task_timeout = 200ms});
      const auto outcomes = parallel.map_outcomes(std::views::iota(0, 8), nap);
      for (std::size_t i = 0; i < 8; ++i) CHECK(outcomes[i].has_value() == (i != 3));
      CHECK_THROWS_WITH_AS(outcomes[3].value(), doctest::Contains("task 3"), TimedOut);
    }
  }
}

TEST_CASE("a generator that is dropped cancels what has not begun") {
  for (const auto& backend : backends()) {
    CAPTURE(backend);
    const auto nap = [](int i) {
      std::this_thread::sleep_for(2ms);
      return i;
    };
    const auto begin = std::chrono::steady_clock::now();
    {
      auto generator =
          Parallel({.n_jobs = 2, .backend = backend, .pre_dispatch = "all"})
              .generator(std::views::iota(0, 20000) |
                         std::views::transform([&](int i) { return delayed(nap)(i); }));
      auto at = generator.begin();
      CHECK(*at == 0);
      ++at;
      CHECK(*at == 1);
    }
    CHECK(std::chrono::steady_clock::now() - begin < 10s);
  }
}
