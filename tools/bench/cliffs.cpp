// SPDX-License-Identifier: BSD-3-Clause
//
// Cliffs: the cost of a short task in loops of every kind, from 10^2 to 10^5 tasks. A row is one
// kind of loop; its worst cost per task is compared with the median of the row. What a loop costs
// at all (workers that start, a first batch) is measured on a loop of a few tasks and subtracted.

#include <hoist/parallel.hpp>

#include <algorithm>
#include <cstddef>
#include <functional>
#include <list>
#include <ranges>
#include <string>
#include <vector>

#include "bench.hpp"

namespace {

using hoist::BatchSize;
using hoist::delayed;
using hoist::Parallel;
using hoist::ParallelOptions;
using hoist::PreDispatch;

constexpr int rounds = 3;
constexpr int few = 4;
/// Differences below this are the noise of starting workers, not the cost of tasks.
constexpr double least_per_task = 50e-9;
constexpr double limit = 5;

int nothing(int i) { return i; }

/// Runs a loop of so many empty tasks.
struct Kind {
  std::string name;
  std::function<void(const Parallel&, int)> run;
};

const std::vector<Kind>& kinds() {
  static const auto calls = [](int n) {
    return std::views::iota(0, n) |
           std::views::transform([](int i) { return delayed(nothing)(i); });
  };
  static const std::vector<Kind> all{
      {"iota", [](const Parallel& loop, int n) { loop.map(std::views::iota(0, n), nothing); }},
      {"list",
       [](const Parallel& loop, int n) { loop.map(std::list<int>(std::size_t(n)), nothing); }},
      {"lazy", [](const Parallel& loop, int n) { loop(calls(n)); }},
      {"generator",
       [](const Parallel& loop, int n) {
         for ([[maybe_unused]] const int value : loop.generator(calls(n))) {
         }
       }},
      {"unordered",
       [](const Parallel& loop, int n) {
         for ([[maybe_unused]] const auto& value : loop.generator_unordered(calls(n))) {
         }
       }},
  };
  return all;
}

void measure(const std::string& name, const Parallel& loop, const Kind& kind) {
  const auto time = [&](int n) {
    std::vector<double> samples;
    for (int round = 0; round < rounds; ++round) {
      samples.push_back(bench::seconds([&] { kind.run(loop, n); }));
    }
    return bench::median(samples);
  };
  time(few);  // starts workers
  const double start = time(few);
  std::vector<double> costs;
  std::string text = name + ", ns a task:";
  for (const int n : {100, 1000, 10'000, 100'000}) {
    costs.push_back(std::max(least_per_task, (time(n) - start) / n));
    text += " " + std::to_string(static_cast<long>(costs.back() * 1e9));
  }
  const double worst = *std::max_element(costs.begin(), costs.end());
  bench::note(text);
  bench::row(name, "us/task", worst * 1e6, "median of the row", bench::median(costs) * 1e6,
             bench::Goal::at_most, limit);
}

void cliffs() {
  for (const char* backend : {"sequential", "threads", "fork", "spawn"}) {
    for (const Kind& kind : kinds()) {
      const auto run = [&](const std::string& more, PreDispatch ahead, BatchSize batch) {
        const Parallel loop({.n_jobs = 2,
                             .backend = backend,
                             .pre_dispatch = std::move(ahead),
                             .batch_size = batch});
        measure(std::string(backend) + ", " + kind.name + more, loop, kind);
      };
      run("", {}, hoist::automatic);
      run(", all", "all", hoist::automatic);
      run(", 10*n_jobs", "10*n_jobs", hoist::automatic);
      run(", batches of 16", {}, 16);
    }
  }
}

const bench::Group group("cliffs", cliffs);

}  // namespace
