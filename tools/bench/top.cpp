// SPDX-License-Identifier: BSD-3-Clause
//
// What it costs that programs publish counters: the same work in programs that do and that don't.

#include <hoist/memory.hpp>
#include <hoist/parallel.hpp>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <ranges>
#include <string>
#include <vector>

#include "bench.hpp"

namespace {

using Clock = std::chrono::steady_clock;

/// About 10 us.
double compute(int i) {
  double x = i * 1e-6;
  for (int n = 0; n < 5000; ++n) x = x * 0.999999 + 1e-9;
  return x;
}

double seconds_since(Clock::time_point began) {
  return std::chrono::duration<double>(Clock::now() - began).count();
}

/// Prints the median time of loops over 40,000 of these tasks: in batches, or one by one.
void loops(int batch) {
  hoist::ParallelOptions options{.n_jobs = 2, .backend = "threads"};
  if (batch > 0) options.batch_size = static_cast<std::size_t>(batch);
  const auto loop = [&] {
    bench::keep(hoist::Parallel(options).map(std::views::iota(0, 40'000), compute).back());
  };
  std::printf("%.9g\n", bench::medians(5, {loop})[0]);
}

/// Prints the time of the first loop of a program, and the median of those that follow.
void small_loops(int) {
  const auto loop = [] {
    bench::keep(hoist::Parallel({.n_jobs = 1}).map(std::views::iota(0, 1), compute).back());
  };
  std::vector<double> times;
  for (int i = 0; i < 2000; ++i) {
    const auto began = Clock::now();
    loop();
    times.push_back(seconds_since(began));
  }
  std::printf("%.9g\n%.9g\n", times.front(), bench::median(times));
}

/// Prints the time of a hit in memory.
void hits(int) {
  const hoist::Memory memory(bench::scratch() + "/top", {.hot_bytes = "1M"});
  const auto cached = memory.cache(compute, {.name = "compute", .version = "1"});
  bench::keep(cached(1));
  std::vector<double> times;
  for (int round = 0; round < 21; ++round) {
    const auto began = Clock::now();
    for (int i = 0; i < 20'000; ++i) bench::keep(cached(1));
    times.push_back(seconds_since(began) / 20'000);
  }
  std::printf("%.9g\n", bench::median(times));
}

const bench::Apart loops_apart("top-loops", loops);
const bench::Apart small_apart("top-small", small_loops);
const bench::Apart hits_apart("top-hits", hits);

/// Medians of what programs print that publish, and of what others do, run in turn.
struct Both {
  std::vector<double> with;
  std::vector<double> without;
};
Both both(const std::string& name, int argument, std::size_t numbers, int rounds) {
  std::vector<std::vector<double>> with(numbers);
  std::vector<std::vector<double>> without(numbers);
  for (int round = 0; round < rounds; ++round) {
    for (const bool publishes : {true, false}) {
      ::setenv("HOIST_TOP", publishes ? "1" : "0", 1);
      const auto printed = bench::apart(name, argument, 1024);
      if (printed.size() != numbers) continue;
      for (std::size_t i = 0; i < numbers; ++i) {
        (publishes ? with : without)[i].push_back(printed[i]);
      }
    }
  }
  ::unsetenv("HOIST_TOP");
  Both both;
  for (std::size_t i = 0; i < numbers; ++i) {
    both.with.push_back(bench::median(with[i]));
    both.without.push_back(bench::median(without[i]));
  }
  return both;
}

void top() {
  // In memory, as what systems make at login.
  std::string directory = "/dev/shm/hoist-bench-XXXXXX";
  if (::mkdtemp(directory.data()) == nullptr) return bench::note("no directory in /dev/shm");
  ::setenv("XDG_RUNTIME_DIR", directory.c_str(), 1);
  const auto row = [](const std::string& work, const std::string& unit, double factor, double with,
                      double without, double target) {
    bench::row(work, unit, with * factor, "HOIST_TOP=0", without * factor, bench::Goal::at_most,
               target);
  };
  const Both batches = both("top-loops", 0, 1, 15);
  row("40,000 tasks of about 10 us", "ms", 1e3, batches.with[0], batches.without[0], 1.01);
  const Both singles = both("top-loops", 1, 1, 15);
  row("the same, batch_size = 1", "ms", 1e3, singles.with[0], singles.without[0], 1.01);
  const Both small = both("top-small", 0, 2, 31);
  row("a program's first loop, of one task", "us", 1e6, small.with[0], small.without[0], 2);
  row("a further one", "us", 1e6, small.with[1], small.without[1], 1.1);
  const Both hit = both("top-hits", 0, 1, 15);
  row("a hit in memory", "ns", 1e9, hit.with[0], hit.without[0], 1.1);
  std::filesystem::remove_all(directory);
}

const bench::Group group("top", top);

}  // namespace
