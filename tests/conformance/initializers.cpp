// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>
#include <hoist/error.hpp>
#include <hoist/lock.hpp>
#include <hoist/open_array.hpp>
#include <hoist/parallel.hpp>
#include <hoist/shared.hpp>
#include <hoist/worker.hpp>

#include <unistd.h>
#include <atomic>
#include <mutex>
#include <numeric>
#include <ranges>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "conformance/support.hpp"
#include "support/temp_dir.hpp"

using namespace hoist;
using conformance::backends;

namespace {

struct Table {
  std::vector<int> rows;
  int uses = 0;
};

Table make_table(int n, const std::string& text) {
  Table table;
  table.rows.assign(static_cast<std::size_t>(n), static_cast<int>(text.size()));
  return table;
}

int look_up(int i) {
  Table& table = worker_state<Table>();
  ++table.uses;
  return table.rows.at(static_cast<std::size_t>(i)) + i;
}

/// Which worker's state it is, and how often that was used.
std::pair<std::string, int> uses(int) {
  Table& table = worker_state<Table>();
  return {
      std::to_string(::getpid()) + " " + std::to_string(reinterpret_cast<std::uintptr_t>(&table)),
      ++table.uses};
}

int fail_to_start() { throw std::out_of_range("no table"); }
void return_nothing() {}

/// Counts objects of this process.
struct Counted {
  Counted() { ++alive; }
  Counted(const Counted&) { ++alive; }
  ~Counted() { --alive; }
  static inline std::atomic<int> alive{0};
};
Counted make_counted() { return {}; }
int alive(int) { return Counted::alive; }

std::vector<int> first(int n) {
  std::vector<int> all(static_cast<std::size_t>(n));
  std::iota(all.begin(), all.end(), 0);
  return all;
}

ParallelOptions with(const std::string& backend, WorkerInitializer initializer) {
  return {.n_jobs = 2, .backend = backend, .workers = {.initializer = std::move(initializer)}};
}

}  // namespace

TEST_CASE("tasks find what their worker's initializer has made") {
  for (const std::string& backend : backends()) {
    CAPTURE(backend);
    const Parallel parallel(with(backend, {make_table, 100, "four"}));
    const auto found = parallel.map(first(100), look_up);
    for (int i = 0; i < 100; ++i) CHECK(found[static_cast<std::size_t>(i)] == 4 + i);
    const auto [one, two] = parallel(delayed(look_up)(1), delayed(look_up)(2));
    CHECK(one == 5);
    CHECK(two == 6);
  }
}

TEST_CASE("each worker makes its state once, and nobody else uses it") {
  for (const std::string& backend : backends()) {
    CAPTURE(backend);
    const auto seen = Parallel(with(backend, {make_table, 1, backend})).map(first(200), uses);
    std::set<std::string> states;
    std::set<std::pair<std::string, int>> all;
    for (const auto& one : seen) {
      states.insert(one.first);
      all.insert(one);
    }
    CHECK(states.size() <= 3);  // two, and one of the loop's owner
    CHECK(all.size() == seen.size());
  }
}

TEST_CASE("what an initializer throws is the error of a task") {
  for (const std::string& backend : backends()) {
    CAPTURE(backend);
    const Parallel parallel(with(backend, fail_to_start));
    CHECK_THROWS_AS(parallel.map(first(5), look_up), std::out_of_range);
    const auto outcomes = parallel.map_outcomes(first(5), look_up);
    CHECK(outcomes.size() == 5);
    for (const auto& outcome : outcomes) CHECK_THROWS_AS(outcome.value(), std::out_of_range);
  }
}

TEST_CASE("without an initializer, or with one that returns nothing, there is no state") {
  for (const std::string& backend : backends()) {
    CAPTURE(backend);
    CHECK_THROWS_WITH_AS(Parallel({.n_jobs = 2, .backend = backend}).map(first(3), look_up),
                         doctest::Contains("initializer"), BadArgument);
    CHECK_THROWS_AS(Parallel(with(backend, return_nothing)).map(first(3), look_up), BadArgument);
  }
  CHECK_THROWS_AS(worker_state<Table>(), BadArgument);
}

TEST_CASE("states of workers in this process end with their loop") {
  for (const std::string backend : {"sequential", "threads", "one_by_one"}) {
    CAPTURE(backend);
    const auto counts = Parallel(with(backend, make_counted)).map(first(50), alive);
    for (const int count : counts) CHECK(count >= 1);
    CHECK(Counted::alive == 0);
  }
}

TEST_CASE("tasks of an inner loop have its states, and not the outer loop's") {
  for (const std::string backend : {"sequential", "threads", "fork"}) {
    if (backend == "fork" && conformance::only_backend() != nullptr) continue;  // that has threads
    CAPTURE(backend);
    const auto inner = [backend](int i) {
      const Parallel parallel(
          {.n_jobs = 2,
           .backend = "threads",
           .workers = {.initializer = {make_table, 10, std::string("six by")}}});
      const auto found = parallel.map(first(10), look_up);
      const bool none = Parallel({.n_jobs = 2, .backend = "threads"})
                            .map_outcomes(first(10), look_up)[0]
                            .has_value();
      return found[0] + (none ? 1000 : 0) + look_up(i);
    };
    const auto results = Parallel(with(backend, {make_table, 10, "four"})).map(first(4), inner);
    for (int i = 0; i < 4; ++i) CHECK(results[static_cast<std::size_t>(i)] == 6 + 4 + i);
  }
}

TEST_CASE("an initializer takes handles, which lead to the same memory in every worker") {
  const support::TempDir dir;
  const auto array = open_array<double>(dir / "a.npy", {4, 4});
  struct Kept {
    SharedArray<long> counts;
    Lock lock;
    Array<double> array;
  };
  const auto keep = [](const SharedArray<long>& counts, const Lock& lock,
                       const Array<double>& written) { return Kept{counts, lock, written}; };
  const auto count = [](int n) {
    const Kept& kept = worker_state<Kept>();
    const std::lock_guard held(kept.lock);
    ++kept.counts[static_cast<std::size_t>(n % 3)];
    kept.array.data()[n % 16] += 1;
  };
  long rounds = 0;
  const SharedArray<long> counts(3);
  const Lock lock;
  for (const std::string& backend : backends()) {
    if (conformance::is_remote(backend)) continue;  // refused
    CAPTURE(backend);
    ++rounds;
    const Parallel parallel(
        {.n_jobs = 2, .backend = backend, .workers = {.initializer = {keep, counts, lock, array}}});
    parallel.for_each(std::views::iota(0, 96), count);
    for (const long n : counts) CHECK(n == 32 * rounds);
    for (int i = 0; i < 16; ++i) CHECK(array.data()[i] == 6.0 * static_cast<double>(rounds));
  }
}
