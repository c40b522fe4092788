// SPDX-License-Identifier: BSD-3-Clause
//
// Loops beside oneTBB, OpenMP, raw fork and Python's multiprocessing.

#include <hoist/parallel.hpp>

#include <sys/mman.h>
#include <sys/wait.h>
#include <tbb/blocked_range.h>
#include <tbb/parallel_for.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <limits>
#include <ranges>
#include <string>
#include <thread>
#include <vector>

#include "bench.hpp"

namespace {

using hoist::Parallel;

constexpr int cores = 2;

/// Works for about so long: arithmetic, so that nothing but the processor limits it. Not inlined, so
/// that all run the same code.
[[gnu::noinline]] double spin_for(double microseconds) {
  static const double per_round = [] {
    const double best = std::min(bench::seconds([] {
                                   double x = 1;
                                   for (int i = 0; i < 1'000'000; ++i) x = x * 1.0000001 + 1e-9;
                                   bench::keep(x);
                                 }),
                                 bench::seconds([] {
                                   double x = 1;
                                   for (int i = 0; i < 1'000'000; ++i) x = x * 1.0000001 + 1e-9;
                                   bench::keep(x);
                                 }));
    return best * 1e6 / 1'000'000;
  }();
  const auto rounds = static_cast<long>(microseconds / per_round);
  double x = 1;
  for (long i = 0; i < rounds; ++i) x = x * 1.0000001 + 1e-9;
  bench::keep(x);
  return x;
}

/// Task lengths between a quarter and nearly twice the mean, in no order.
double uneven(int i, double mean) {
  const auto mixed = static_cast<unsigned>(i) * 2654435761U >> 16U;
  return mean * (0.25 + 1.5 * (mixed % 1000) / 1000.0);
}

void empty_tasks() {
  constexpr int n = 10'000'000;
  const auto body = [](int i) { bench::keep(i); };
  const Parallel threads({.n_jobs = cores, .backend = "threads"});
  const auto times =
      bench::medians(9, {[&] { threads.for_each(std::views::iota(0, n), body); },
                         [&] {
                           tbb::parallel_for(tbb::blocked_range<int>(0, n), [&](const auto& range) {
                             for (int i = range.begin(); i < range.end(); ++i) body(i);
                           });
                         },
                         [&] {
#pragma omp parallel for schedule(static) num_threads(cores)
                           for (int i = 0; i < n; ++i) body(i);
                         },
                         [&] {
#pragma omp parallel for schedule(guided) num_threads(cores)
                           for (int i = 0; i < n; ++i) body(i);
                         }});
  const double best = std::min({times[1], times[2], times[3]});
  bench::row("threads: 10^7 empty index tasks", "ms", times[0] * 1e3,
             best == times[1]   ? "oneTBB auto"
             : best == times[2] ? "OpenMP static"
                                : "OpenMP guided",
             best * 1e3, bench::Goal::at_most, 1.2);
}

void real_tasks(const std::string& backend, double microseconds, int n, double target) {
  const auto body = [=](int i) { spin_for(uneven(i, microseconds)); };
  const Parallel loop({.n_jobs = cores, .backend = backend, .force_fork = true});
  const auto times =
      bench::medians(5, {[&] {
                           for (int i = 0; i < n; ++i) body(i);
                         },
                         [&] { loop.for_each(std::views::iota(0, n), body); },
                         [&] {
                           tbb::parallel_for(tbb::blocked_range<int>(0, n), [&](const auto& range) {
                             for (int i = range.begin(); i < range.end(); ++i) body(i);
                           });
                         },
                         [&] {
#pragma omp parallel for schedule(dynamic, 1) num_threads(cores)
                           for (int i = 0; i < n; ++i) body(i);
                         }});
  const std::string work = backend + ": " + std::to_string(n) + " uneven tasks of about " +
                           std::to_string(static_cast<int>(microseconds)) + " us";
  bench::row(work, "s", times[0], "this loop (speed-up)", times[1], bench::Goal::at_least, target);
  bench::row(work, "ms", times[1] * 1e3, times[2] < times[3] ? "oneTBB auto" : "OpenMP dynamic",
             std::min(times[2], times[3]) * 1e3, bench::Goal::at_most,
             backend == "threads" ? 1.02 : 1.06);
}

/// Two children that do nothing but answer, in the barest way.
void raw_fork() {
  void* page = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  auto* answers = static_cast<std::atomic<int>*>(page);
  pid_t children[cores];
  for (int i = 0; i < cores; ++i) {
    children[i] = ::fork();
    if (children[i] == 0) {
      answers[i].store(1);
      ::_exit(0);
    }
  }
  for (const pid_t child : children) ::waitpid(child, nullptr, 0);
  ::munmap(page, 4096);
}

void start_of_forks() {
  const Parallel loop({.n_jobs = cores, .backend = "fork", .force_fork = true});
  const auto times = bench::medians(
      21, {[&] { bench::keep(loop.map(std::views::iota(0, cores), [](int i) { return i; })); },
           raw_fork});
  bench::row("fork: first loop with 2 children", "us", times[0] * 1e6, "2 raw forks",
             times[1] * 1e6, bench::Goal::at_most, 3);
  const auto python = bench::python(
      "import time, multiprocessing as mp\n"
      "def f(i): return i\n"
      "ctx = mp.get_context('fork')\n"
      "best = []\n"
      "for _ in range(5):\n"
      "    t = time.perf_counter()\n"
      "    with ctx.Pool(2) as pool: pool.map(f, range(2))\n"
      "    best.append(time.perf_counter() - t)\n"
      "print(sorted(best)[2])\n");
  bench::row("fork: first loop with 2 children", "us", times[0] * 1e6, "multiprocessing.Pool",
             python.empty() ? std::numeric_limits<double>::quiet_NaN() : python[0] * 1e6,
             bench::Goal::at_most, 0.1);
}

void run() {
  bench::note("on " + std::to_string(std::thread::hardware_concurrency()) + " processors");
  start_of_forks();
  empty_tasks();
  real_tasks("threads", 10, 40'000, 1.95);
  real_tasks("threads", 1000, 600, 1.95);
  real_tasks("fork", 10, 40'000, 1.9);
  real_tasks("fork", 1000, 600, 1.9);
}

const bench::Group group("parallel", run);

}  // namespace
