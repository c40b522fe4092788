// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>
#include <hoist/error.hpp>
#include <hoist/executor.hpp>
#include <hoist/parallel.hpp>
#include <hoist/parallel_config.hpp>
#include <hoist/stop.hpp>

#include <atomic>
#include <stdexcept>
#include <stop_token>
#include <thread>

#include "conformance/support.hpp"

using namespace hoist;
using namespace std::chrono_literals;
using conformance::backends;

namespace {

/// Takes far longer than any test, unless it is asked to stop, or killed.
int nap(int i) {
  const auto end = Clock::now() + 100s;
  while (!stop_requested() && Clock::now() < end) std::this_thread::sleep_for(1ms);
  return i;
}

/// Asks for a stop after a moment, from another thread. "fork" is told that it may fork.
class StopsSoon {
 public:
  std::stop_token token() const { return source_.get_token(); }

 private:
  std::stop_source source_;
  std::jthread thread_{[this] {
    std::this_thread::sleep_for(100ms);
    source_.request_stop();
  }};
};

ParallelOptions options(const std::string& backend, std::stop_token token) {
  return {.n_jobs = 2, .backend = backend, .stop_token = std::move(token), .force_fork = true};
}

}  // namespace

TEST_CASE("a stop token ends its loop at once") {
  const auto calls =
      std::views::iota(0, 1000) | std::views::transform([](int i) { return delayed(nap)(i); });
  for (const auto& backend : backends()) {
    CAPTURE(backend);
    const auto began = Clock::now();
    {
      const StopsSoon soon;
      CHECK_THROWS_WITH_AS(
          Parallel(options(backend, soon.token())).map(std::views::iota(0, 1000), nap),
          doctest::Contains("stop_token"), Interrupted);
    }
    {
      const StopsSoon soon;
      CHECK_THROWS_AS(static_cast<void>(Parallel(options(backend, soon.token())).outcomes(calls)),
                      Interrupted);
    }
    {
      const StopsSoon soon;
      CHECK_THROWS_AS(
          [&] {
            for (const int value : Parallel(options(backend, soon.token())).generator(calls)) {
              // On threads a task returns when it is asked to stop.
              static_cast<void>(value);
            }
          }(),
          Interrupted);
    }
    {
      const StopsSoon soon;
      CHECK_THROWS_AS(Parallel(options(backend, soon.token()))
                          .reduce(std::views::iota(0, 1000), 0, std::plus(), nap),
                      Interrupted);
    }
    CHECK(Clock::now() - began < 20s);
  }
}

TEST_CASE("a token of which a stop was requested before lets no task begin") {
  std::stop_source source;
  source.request_stop();
  for (const auto& backend : backends()) {
    CAPTURE(backend);
    std::atomic<int> ran = 0;
    const auto count = [&ran](int) { ++ran; };
    const auto nothing = [](int) {};
    const Parallel parallel(options(backend, source.get_token()));
    if (conformance::shares_memory(backend)) {
      CHECK_THROWS_AS(parallel.for_each(std::views::iota(0, 100), count), Interrupted);
    } else {
      CHECK_THROWS_AS(parallel.for_each(std::views::iota(0, 100), nothing), Interrupted);
    }
    CHECK(ran == 0);
  }
}

TEST_CASE("loops inside the tasks stop, too, also while they only wait for processes") {
  for (const auto& backend : backends()) {
    for (const char* inner : {"threads", "spawn"}) {
      CAPTURE(backend);
      CAPTURE(inner);
      const auto began = Clock::now();
      const StopsSoon soon;
      const auto outer = Parallel(options(backend, soon.token()));
      const auto run = [&] {
        if (std::string_view(inner) == "threads") {
          outer.for_each(std::views::iota(0, 4), [](int) {
            Parallel({.n_jobs = 2, .backend = "threads"}).map(std::views::iota(0, 4), nap);
          });
        } else {
          outer.for_each(std::views::iota(0, 4), [](int) {
            Parallel({.n_jobs = 2, .backend = "spawn"}).map(std::views::iota(0, 4), nap);
          });
        }
      };
      CHECK_THROWS_WITH_AS(run(), doctest::Contains("the loop's stop_token"), Interrupted);
      CHECK(Clock::now() - began < 20s);
    }
  }
}

TEST_CASE("a token stops no other loop, and none that is over") {
  std::stop_source source;
  const Parallel other({.n_jobs = 2, .backend = "threads"});
  const auto twice = [](int i) { return 2 * i; };
  for (const auto& backend : backends()) {
    CAPTURE(backend);
    CHECK(Parallel(options(backend, source.get_token())).map(std::views::iota(0, 3), twice) ==
          std::vector{0, 2, 4});
  }
  source.request_stop();
  CHECK(other.map(std::views::iota(0, 3), twice) == std::vector{0, 2, 4});
}

TEST_CASE("a ParallelConfig's token is that of the loops that have none") {
  std::stop_source source;
  source.request_stop();
  const auto twice = [](int i) { return 2 * i; };
  const ParallelConfig scope({.stop_token = source.get_token()});
  CHECK_THROWS_AS(Parallel({.n_jobs = 2}).map(std::views::iota(0, 3), twice), Interrupted);
  std::stop_source own;
  CHECK(Parallel({.n_jobs = 2, .stop_token = own.get_token()}).map(std::views::iota(0, 3), twice) ==
        std::vector{0, 2, 4});
}

TEST_CASE("a task may ask for the stop of its own loop") {
  std::stop_source source;
  const Parallel parallel({.n_jobs = 2, .backend = "threads", .stop_token = source.get_token()});
  std::atomic<int> ran = 0;
  CHECK_THROWS_AS(parallel.for_each(std::views::iota(0, 1'000'000),
                                    [&](int i) {
                                      ++ran;
                                      if (i == 10) source.request_stop();
                                    }),
                  Interrupted);
  CHECK(ran < 1'000'000);
}

TEST_CASE("executors have no token, nor that of a scope") {
  std::stop_source source;
  source.request_stop();
  CHECK_THROWS_WITH_AS(BackendExecutor("threads", {.stop_token = source.get_token()}),
                       doctest::Contains("stop_token"), BadArgument);
  const ParallelConfig scope({.stop_token = source.get_token()});
  BackendExecutor executor("threads");
  CHECK(executor.submit([] { return 3; }).result() == 3);
  CHECK_THROWS_AS(executor.submit([]() -> int { throw std::runtime_error("no"); }).result(),
                  std::runtime_error);
  CHECK(executor.submit([] { return 4; }).result() == 4);
}
