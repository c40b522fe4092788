// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>
#include <hoist/parallel.hpp>
#include <hoist/sync.hpp>

#include <ranges>
#include <set>

#include "support/hard_limit.hpp"

using namespace hoist;

// Worker processes get batches whose size follows the tasks so far. A task that takes much longer
// keeps no other one waiting.

TEST_CASE("tasks behind one that waits for them are run by another worker") {
  const support::HardLimit limit(60);
  for (int round = 0; round < 20; ++round) {
    const Event last;
    // Short ones make the batches large; then one waits for what the next one does.
    const auto task = [](const Event& done, int n) {
      if (n == 2000) done.wait();
      if (n == 2001) done.set();
      return n;
    };
    const auto tasks = std::views::iota(0, 3000) |
                       std::views::transform([&](int n) { return delayed(task)(last, n); });
    const auto results = Parallel({.n_jobs = 2, .backend = "spawn", .pre_dispatch = "all"})(tasks);
    REQUIRE(results.size() == 3000);
    for (int n = 0; n < 3000; ++n) CHECK(results[static_cast<std::size_t>(n)] == n);
  }
}

TEST_CASE("results of tasks before a long one are delivered before it ends") {
  const support::HardLimit limit(60);
  const Event last;
  const auto task = [](const Event& done, int n) {
    if (n == 700) done.wait();
    return n;
  };
  const auto tasks = std::views::iota(0, 1000) |
                     std::views::transform([&](int n) { return delayed(task)(last, n); });
  std::set<int> seen;
  for (const auto& [index, value] :
       Parallel({.n_jobs = 2, .backend = "spawn", .pre_dispatch = 1000})
           .generator_unordered(tasks)) {
    CHECK(seen.insert(value).second);
    // All others are there, and this one is not.
    if (seen.size() == 999) {
      CHECK_FALSE(seen.contains(700));
      last.set();
    }
  }
  CHECK(seen.size() == 1000);
}
