// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>
#include <hoist/error.hpp>
#include <hoist/parallel.hpp>
#include <hoist/random.hpp>
#include <hoist/this_task.hpp>

#include <csignal>
#include <list>
#include <random>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>

#include "conformance/support.hpp"

using namespace hoist;
using conformance::backends;

namespace {

std::size_t index_of_task(int) { return this_task().index; }

std::vector<std::size_t> indices(std::size_t n) {
  std::vector<std::size_t> all(n);
  for (std::size_t i = 0; i < n; ++i) all[i] = i;
  return all;
}

}  // namespace

TEST_CASE("a task knows its index, however it got to its worker") {
  const auto calls = std::views::iota(0, 500) |
                     std::views::transform([](int i) { return delayed(index_of_task)(i); });
  const std::list<int> list(500);
  for (const auto& backend : backends()) {
    for (const int n_jobs : {1, 2, 5}) {
      for (const int batch : {0, 1, 7}) {
        CAPTURE(backend);
        CAPTURE(n_jobs);
        CAPTURE(batch);
        const Parallel parallel({.n_jobs = n_jobs,
                                 .backend = backend,
                                 .batch_size = batch == 0 ? BatchSize(automatic) : batch});
        CHECK(parallel.map(std::views::iota(0, 500), index_of_task) == indices(500));
        if (batch == 0) CHECK(parallel.map(list, index_of_task) == indices(500));
        CHECK(parallel(calls) == indices(500));
        const auto [a, b] = parallel(delayed(index_of_task)(1), delayed(index_of_task)(2));
        CHECK(a == 0);
        CHECK(b == 1);
        std::size_t next = 0;
        for (const std::size_t index : parallel.generator(calls)) CHECK(index == next++);
        for (const auto& [index, told] : parallel.generator_unordered(list, index_of_task)) {
          CHECK(index == told);
        }
      }
    }
    CHECK(!in_task());
  }
}

TEST_CASE("a task knows its attempt, also after one that ended its worker") {
  for (const auto& backend : backends()) {
    CAPTURE(backend);
    const Parallel parallel({.n_jobs = 2, .backend = backend, .retries = 3});
    const auto told = parallel.map(std::views::iota(0, 300), [](int i) {
      const TaskInfo task = this_task();
      if (task.index != static_cast<std::size_t>(i)) throw std::logic_error("wrong index");
      if (i % 10 == 0 && task.attempt <= static_cast<unsigned>(i / 100) + 1) {
        throw std::runtime_error("again");
      }
      return task.attempt;
    });
    for (std::size_t i = 0; i < told.size(); ++i) {
      CHECK(told[i] == (i % 10 == 0 ? i / 100 + 2 : 1));
    }
    if (conformance::shares_memory(backend)) continue;
    const auto survived = parallel.map(std::views::iota(0, 40), [](int i) {
      if (i % 9 == 0 && this_task().attempt == 1) std::raise(SIGKILL);
      return this_task().attempt;
    });
    for (std::size_t i = 0; i < survived.size(); ++i) CHECK(survived[i] == (i % 9 == 0 ? 2 : 1));
  }
}

TEST_CASE("workers that run at once have different numbers, of n_jobs + 1") {
  for (const auto& backend : backends()) {
    CAPTURE(backend);
    const Parallel parallel({.n_jobs = 3, .backend = backend, .batch_size = 1});
    const auto numbers = parallel.map(std::views::iota(0, 60), [](int) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      return this_task().worker;
    });
    const std::set<unsigned> different(numbers.begin(), numbers.end());
    CHECK(*different.rbegin() <= 3);
    if (!conformance::is_sequential(backend)) CHECK(different.size() > 1);
  }
}

TEST_CASE("in nested loops the innermost task is told, and then the one around it") {
  for (const auto& backend : backends()) {
    CAPTURE(backend);
    const auto both =
        Parallel({.n_jobs = 2, .backend = backend}).map(std::views::iota(0, 20), [](int) {
          const auto inner = Parallel({.n_jobs = 2, .backend = "threads"})
                                 .map(std::views::iota(0, 30), index_of_task);
          return std::pair(inner, this_task().index);
        });
    for (std::size_t i = 0; i < both.size(); ++i) {
      CHECK(both[i].first == indices(30));
      CHECK(both[i].second == i);
    }
  }
}

TEST_CASE("outside of tasks there is none") {
  CHECK(!in_task());
  CHECK_THROWS_WITH_AS(static_cast<void>(this_task()), doctest::Contains("in_task"), BadArgument);
  CHECK_THROWS_AS(static_cast<void>(task_rng(1)), BadArgument);
  // A range is read by the owner of the loop, between its tasks.
  const auto read = std::views::iota(0, 10) |
                    std::views::transform([](int) { return static_cast<int>(in_task()); });
  for (const auto& backend : backends()) {
    CHECK(Parallel({.n_jobs = 2, .backend = backend}).map(read, [](int in) { return in; }) ==
          std::vector(10, 0));
  }
  const auto in_thread = Parallel({.n_jobs = 2}).map(std::views::iota(0, 2), [](int) {
    bool in = true;
    std::thread([&] { in = in_task(); }).join();
    return in;
  });
  CHECK(in_thread == std::vector<bool>{false, false});
}

TEST_CASE("random numbers of tasks depend on the seed and the index alone") {
  std::vector<std::uint64_t> expected;
  for (std::size_t i = 0; i < 400; ++i) {
    Philox4x64 random = task_rng(2026, i);
    random.discard(5);
    expected.push_back(random());
  }
  CHECK(std::set(expected.begin(), expected.end()).size() == 400);
  CHECK(task_rng(1, 2) != task_rng(2, 2));
  CHECK(task_rng(1, 0) != Philox4x64(1));
  for (const auto& backend : backends()) {
    for (const int batch : {0, 7}) {
      CAPTURE(backend);
      CAPTURE(batch);
      const Parallel parallel({.n_jobs = 3,
                               .backend = backend,
                               .batch_size = batch == 0 ? BatchSize(automatic) : batch,
                               .retries = 1});
      const auto draw = [](int i) {
        Philox4x64 random = task_rng(2026);
        for (int k = 0; k < 5; ++k) random();
        if (i % 50 == 0 && this_task().attempt == 1) throw std::runtime_error("again");
        return random();
      };
      CHECK(parallel.map(std::views::iota(0, 400), draw) == expected);
    }
  }
}
