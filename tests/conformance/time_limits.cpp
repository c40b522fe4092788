// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>
#include <hoist/error.hpp>
#include <hoist/parallel.hpp>
#include <hoist/stop.hpp>

#include <atomic>
#include <string>
#include <thread>

#include "conformance/support.hpp"

using namespace hoist;
using namespace std::chrono_literals;
using conformance::backends;

namespace {

/// Takes far longer than any test, unless it is asked to stop.
int nap(int i) {
  if (i != 0) return i;
  const auto end = Clock::now() + 100s;
  while (!stop_requested() && Clock::now() < end) std::this_thread::sleep_for(1ms);
  return i;
}

}  // namespace

TEST_CASE(
    "a task that outlasts its time ends the loop while it runs, if it asks or can be killed") {
  for (const auto& backend : backends()) {
    for (const int n_jobs : {1, 2}) {
      CAPTURE(backend);
      CAPTURE(n_jobs);
      const auto began = Clock::now();
      const Parallel parallel({.n_jobs = n_jobs, .backend = backend, .task_timeout = 100ms});
      CHECK_THROWS_WITH_AS(parallel.map(std::views::iota(0, 10), nap), doctest::Contains("task 0"),
                           TimedOut);
      auto calls =
          std::views::iota(0, 10) | std::views::transform([](int i) { return delayed(nap)(i); });
      CHECK_THROWS_WITH_AS(
          [&] {
            for (const int value : parallel.generator(calls)) CHECK(value > 0);
          }(),
          doctest::Contains("task 0"), TimedOut);
      CHECK_THROWS_WITH_AS(
          [&] {
            for (auto& [index, value] : parallel.generator_unordered(calls)) {
              CHECK(static_cast<int>(index) == value);
            }
          }(),
          doctest::Contains("task 0"), TimedOut);
      CHECK(Clock::now() - began < 60s);
    }
  }
}

TEST_CASE("tasks on threads hear of the loop's end") {
  for (const char* backend : {"threads", "sequential", "one_by_one"}) {
    CAPTURE(backend);
    const bool alone = std::string(backend) != "threads";
    const auto began = Clock::now();
    CHECK_THROWS_AS(Parallel({.n_jobs = 2, .backend = backend, .timeout = 50ms})
                        .map(std::views::iota(0, 10),
                             [](int i) {
                               const auto end = Clock::now() + 100s;
                               while (!stop_requested() && Clock::now() < end) {
                                 std::this_thread::sleep_for(1ms);
                               }
                               return i;
                             }),
                    TimedOut);
    CHECK(Clock::now() - began < 60s);
    if (alone) continue;
    std::atomic<bool> begun{false};
    std::atomic<bool> heard{false};
    CHECK_THROWS_AS(
        Parallel({.n_jobs = 2, .backend = backend})
            .map(std::views::iota(0, 2),
                 [&](int i) {
                   if (i == 0) {
                     begun.wait(false);
                     throw std::runtime_error("fails");
                   }
                   // Loops inside the task are stopped, too.
                   Parallel({.backend = "threads"}).for_each(std::views::iota(0, 4), [&](int) {
                     begun = true;
                     begun.notify_all();
                     const auto end = Clock::now() + 100s;
                     while (!stop_requested() && Clock::now() < end) {
                       std::this_thread::sleep_for(1ms);
                     }
                     heard = true;
                   });
                   return i;
                 }),
        std::runtime_error);
    CHECK(heard);
  }
  CHECK(!stop_requested());
}

TEST_CASE("the loop's limit holds where all its tasks have begun and none ends") {
  for (const auto& backend : backends()) {
    if (conformance::shares_memory(backend)) continue;
    CAPTURE(backend);
    const auto began = Clock::now();
    CHECK_THROWS_AS(
        Parallel({.n_jobs = 2, .backend = backend, .timeout = 200ms}).map(std::vector{0, 0}, nap),
        TimedOut);
    CHECK(Clock::now() - began < 60s);
  }
}

// What was done was lost: the error told a number in its text only.
TEST_CASE("the error of a loop whose time was over has the results of the tasks that were done") {
  const auto named = [](int i) { return std::to_string(nap(i == 3 ? 0 : 1) + i); };
  const auto plain = [](int i) { return nap(i == 3 ? 0 : 1) + i; };
  for (const auto& backend : backends()) {
    CAPTURE(backend);
    const Parallel parallel({.n_jobs = 2, .backend = backend, .pre_dispatch = 4, .timeout = 500ms});
    const auto check = [&](auto run, auto expected) {
      using R = decltype(expected(0));
      try {
        static_cast<void>(run());
        FAIL("no error");
      } catch (const TimedOut& error) {
        const auto& results = error.results<R>();
        CHECK(error.tasks() == results.size());
        CHECK(error.tasks_done() < error.tasks());
        CHECK(error.tasks_done() >= 3);
        std::size_t done = 0;
        for (std::size_t i = 0; i < results.size(); ++i) {
          if (!results[i]) continue;
          ++done;
          CHECK(*results[i] == expected(static_cast<int>(i)));
        }
        CHECK(done == error.tasks_done());
        CHECK(!results[3]);
        CHECK(std::string(error.what()).find("(tasks done: " + std::to_string(done) + " of ") !=
              std::string::npos);
        CHECK_THROWS_WITH_AS(error.results<double>(), doctest::Contains("of type"), BadArgument);
      }
    };
    const auto number = [](int i) { return i + 1; };
    const auto text = [](int i) { return std::to_string(i + 1); };
    const auto items = std::views::iota(0, 6);
    // Starts workers, which may take longer than the limit.
    CHECK(Parallel({.n_jobs = 2, .backend = backend}).map(items, number).size() == 6);
    check([&] { return parallel.map(items, plain); }, number);
    check([&] { return parallel.map_outcomes(items, named); }, text);
    auto lazily = items | std::views::transform([&](int i) { return delayed(named)(i); });
    check([&] { return parallel(lazily); }, text);
  }
}

TEST_CASE("errors without results of a loop say so, and tell how far it came") {
  for (const auto& backend : backends()) {
    CAPTURE(backend);
    const Parallel parallel({.n_jobs = 2, .backend = backend, .timeout = 200ms});
    const auto check = [&](auto run, std::size_t least = 2) {
      try {
        run();
        FAIL("no error");
      } catch (const TimedOut& error) {
        CHECK(error.tasks() >= least);
        CHECK(error.tasks() <= 2);
        CHECK(error.tasks_done() < 2);
        CHECK_THROWS_WITH_AS(error.results<int>(), doctest::Contains("has none"), BadArgument);
      }
    };
    check([&] { parallel.for_each(std::vector{1, 0}, nap); });
    check([&] { parallel(delayed(nap)(0), delayed(nap)(1)); });
    auto calls =
        std::views::iota(0, 2) | std::views::transform([](int i) { return delayed(nap)(i); });
    check(
        [&] {
          for (const int value : parallel.generator(calls)) CHECK(value > 0);
        },
        1);  // as many as were read
  }
  CHECK(TimedOut("a text").tasks() == 0);
}

TEST_CASE("a limit is looked at between the tasks of a batch, too") {
  // Many short tasks come first, so that batches are large when the long tasks come.
  for (const char* backend : {"sequential", "threads"}) {
    CAPTURE(backend);
    std::atomic<int> ran{0};
    CHECK_THROWS_AS(Parallel({.n_jobs = 1, .backend = backend, .timeout = 300ms})
                        .for_each(std::views::iota(0, 1'000'000),
                                  [&](int i) {
                                    ++ran;
                                    if (i > 20000) std::this_thread::sleep_for(50ms);
                                  }),
                    TimedOut);
    CHECK(ran < 20100);
  }
}

TEST_CASE("a task that outlasts its time may be tried again") {
  for (const auto& backend : backends()) {
    CAPTURE(backend);
    const auto outcomes =
        Parallel({.n_jobs = 2, .backend = backend, .task_timeout = 100ms, .retries = 1})
            .map_outcomes(std::views::iota(0, 4), nap);
    for (std::size_t i = 0; i < 4; ++i) CHECK(outcomes[i].has_value() == (i != 0));
    CHECK(outcomes[0].attempts() == 2);
    CHECK_THROWS_AS(outcomes[0].value(), TimedOut);
  }
}

TEST_CASE("a failure is noticed soon, also where short tasks have promised short ones") {
  std::atomic<bool> failed{false};
  std::atomic<int> begun_after{0};
  CHECK_THROWS_AS(Parallel({.n_jobs = 2, .backend = "threads"})
                      .for_each(std::views::iota(0, 4'000'000),
                                [&](int i) {
                                  if (i < 1'000'000) return;
                                  if (failed) ++begun_after;
                                  std::this_thread::sleep_for(2ms);
                                  if (!failed.exchange(true)) throw std::runtime_error("soon");
                                }),
                  std::runtime_error);
  CHECK(begun_after < 200);
}
