// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/cpu_count.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <limits>
#include <string>
#include <thread>
#include <vector>

#include "bench.hpp"

// Whether the machine does anything besides the benchmark. Each step of the arithmetic below waits
// for the step before and needs no memory, so all processors at once take as long as one alone;
// even two hardware threads of one core do not slow each other down. The slowest of them ends the
// round: where other work takes turns with only one of them, or the host takes a processor away,
// that one needs up to twice the time, however many processors there are.

namespace bench {

namespace {

using Clock = std::chrono::steady_clock;

/// About 10 ms: a few time slices, so that other work on a processor is detected.
constexpr long steps = 4'000'000;
constexpr int rounds = 7;

/// Slowdowns above this are reported. Kernel ticks and clock changes stay below it.
constexpr double limit = 1.15;

/// Clocks are lower when all processors are at work, but seldom by more than this. It bounds what
/// is taken for undisturbed on a machine that is busy from the start.
constexpr double all_at_most = 1.3;

[[gnu::noinline]] void arithmetic() {
  double x = 1;
  for (long i = 0; i < steps; ++i) x = x * 1.0000001 + 1e-9;
  keep(x);
}

/// Seconds from a common start until the last of `threads` threads is done.
double at_once(int threads) {
  std::atomic<int> waiting{threads - 1};
  std::atomic<bool> go{false};
  std::vector<std::jthread> others;
  for (int i = 1; i < threads; ++i) {
    others.emplace_back([&] {
      waiting.fetch_sub(1);
      while (!go.load()) {
      }
      arithmetic();
    });
  }
  while (waiting.load() > 0) std::this_thread::yield();
  return seconds([&] {
    go.store(true);
    arithmetic();
    others.clear();
  });
}

/// How much longer all processors take now than in the fastest round so far.
double slowdown() {
  static double best_alone = std::numeric_limits<double>::infinity();
  static double best_together = best_alone;
  const int cores = hoist::cpu_count();
  std::vector<double> times;
  for (int i = 0; i < rounds; ++i) {
    best_alone = std::min(best_alone, at_once(1));
    times.push_back(at_once(cores));
    best_together = std::min(best_together, times.back());
  }
  return median(std::move(times)) / std::min(best_together, all_at_most * best_alone);
}

Clock::time_point looked;
double earlier = 1;
double latest = 1;

void look() {
  earlier = latest;
  latest = slowdown();
  looked = Clock::now();
}

}  // namespace

void look_whether_quiet() {
  look();
  earlier = latest;
  if (latest > limit) {
    char text[96];
    std::snprintf(text, sizeof text,
                  "not quiet: all processors at once take %.2f times as long as undisturbed",
                  latest);
    note(text);
  }
}

std::string disturbance() {
  // The measured row is between the last check and the one made now.
  if (Clock::now() - looked > std::chrono::seconds(2)) look();
  const double worst = std::max(earlier, latest);
  if (worst <= limit) return "";
  char text[48];
  std::snprintf(text, sizeof text, "  (not quiet: x%.2f)", worst);
  return text;
}

}  // namespace bench
