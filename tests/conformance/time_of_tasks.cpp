// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>
#include <hoist/parallel.hpp>
#include <hoist/worker.hpp>

#include <unistd.h>

#include <ranges>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include "conformance/support.hpp"

// What counts as the time of a task, where that is limited.

using namespace hoist;
using namespace std::chrono_literals;
using conformance::backends;

namespace {

int make_state(int milliseconds) {
  std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
  return milliseconds;
}

}  // namespace

// Tasks failed that had just been sent, and workers were killed that had long been done.
TEST_CASE("a consumer that takes its time costs no task its own") {
  for (const auto& backend : backends()) {
    CAPTURE(backend);
    std::set<int> pids;
    int sum = 0;
    const Parallel parallel({.n_jobs = 1, .backend = backend, .task_timeout = 600ms});
    for (const auto& [i, pid] : parallel.generator(std::views::iota(0, 8), [](int i) {
           return std::pair(i, static_cast<int>(::getpid()));
         })) {
      sum += i;
      pids.insert(pid);
      if (i == 0) std::this_thread::sleep_for(800ms);
    }
    CHECK(sum == 28);
    if (backend == "spawn") CHECK(pids.size() == 1);
  }
}

TEST_CASE("an initializer may take longer than a task may") {
  for (const auto& backend : backends()) {
    if (backend == "slurm") continue;  // an element holds the first task to both
    CAPTURE(backend);
    const Parallel parallel({.n_jobs = 1,
                             .backend = backend,
                             .task_timeout = 600ms,
                             .workers = {.initializer = {make_state, 1000}}});
    const auto states = parallel.map(std::views::iota(0, 2), [](int i) {
      std::this_thread::sleep_for(300ms);
      return i + worker_state<int>();
    });
    CHECK(states == std::vector{1000, 1001});
  }
}
