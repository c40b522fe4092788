// SPDX-License-Identifier: BSD-3-Clause
//
// Loops compared with oneTBB, OpenMP, plain fork and Python.

#include <hoist/parallel.hpp>

#include <sys/mman.h>
#include <sys/wait.h>
#include <tbb/blocked_range.h>
#include <tbb/parallel_for.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <functional>
#include <limits>
#include <ranges>
#include <string>
#include <thread>
#include <vector>

#include "bench.hpp"
#include "raw_fork.hpp"

namespace {

using hoist::Parallel;

constexpr int cores = 2;

/// Arithmetic, so that nothing but the processor limits it. Not inlined, so that all run the same
/// code.
[[gnu::noinline]] void compute(long rounds) {
  double x = 1;
  for (long i = 0; i < rounds; ++i) x = x * 1.0000001 + 1e-9;
  bench::keep(x);
}

double rounds_per_microsecond() {
  static const double rate = [] {
    double best = 1;
    for (int i = 0; i < 3; ++i) best = std::min(best, bench::seconds([] { compute(1'000'000); }));
    return 1 / best;
  }();
  return rate;
}

/// Task lengths between a quarter and nearly twice the mean, in random order.
double uneven(int i, double mean) {
  const auto mixed = static_cast<unsigned>(i) * 2654435761U >> 16U;
  return mean * (0.25 + 1.5 * (mixed % 1000) / 1000.0);
}

void empty_tasks() {
  constexpr int n = 10'000'000;
  const auto body = [](int i) { bench::keep(i); };
  const Parallel threads({.n_jobs = cores, .backend = "threads"});
  const auto times = bench::medians(
      31, {[&] { threads.for_each(std::views::iota(0, n), body); },
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
  const double mean = microseconds * rounds_per_microsecond();
  const auto body = [=](int i) { compute(static_cast<long>(uneven(i, mean))); };
  const Parallel loop({.n_jobs = cores, .backend = backend, .force_fork = backend == "fork"});
  const auto times =
      bench::medians(9, {[&] {
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

double at(const std::vector<double>& numbers, std::size_t i) {
  return i < numbers.size() ? numbers[i] : std::numeric_limits<double>::quiet_NaN();
}

void fork_loop() {
  const Parallel loop({.n_jobs = cores, .backend = "fork", .force_fork = true});
  bench::keep(loop.map(std::views::iota(0, cores), [](int i) { return i; }));
}

/// Repeatedly in one process, and as the first work of a process.
void start_of_forks() {
  const auto again = bench::medians(21, {fork_loop, bench::raw_fork});
  std::vector<std::vector<double>> first(3);
  for (int i = 0; i < 9; ++i) {
    first[0].push_back(bench::fresh("fork"));
    first[1].push_back(bench::fresh("raw-fork"));
    first[2].push_back(at(bench::python(R"(
import time, multiprocessing as mp
def f(i): return i
t = time.perf_counter()
with mp.get_context('fork').Pool(2) as pool: pool.map(f, range(2))
print(time.perf_counter() - t)
)"),
                          0));
  }
  const double ours = bench::median(first[0]) * 1e6;
  const std::string work = "fork: a program's first loop with 2 children";
  bench::row(work, "us", ours, "2 raw forks", bench::median(first[1]) * 1e6, bench::Goal::at_most,
             3);
  bench::row(work, "us", ours, "multiprocessing.Pool", bench::median(first[2]) * 1e6,
             bench::Goal::at_most, 0.1);
  bench::row("fork: its later loops with 2 children", "us", again[0] * 1e6, "2 raw forks",
             again[1] * 1e6, bench::Goal::at_most, 3);
}

/// What Python has, on threads and in forked processes: calls of nothing, at the best of a few
/// chunk sizes where those are to be chosen, and checksums (which let other threads run) of about
/// 1 ms.
void beside_python(const std::string& backend, const std::string& joblib_backend,
                   const std::string& executor) {
  const Parallel loop({.n_jobs = cores, .backend = backend, .force_fork = true});
  const auto nothing = std::views::iota(0, 1'000'000);
  const auto tasks = std::views::iota(0, 600);
  const double mean = 1000 * rounds_per_microsecond();
  const auto body = [=](int i) { compute(static_cast<long>(uneven(i, mean))); };
  const auto times = bench::medians(
      3, {[&] { bench::keep(loop.map(nothing, [](int i) { return i; })); },
          [&] { std::ranges::for_each(tasks, body); }, [&] { loop.for_each(tasks, body); }});
  const std::string common = R"(
import time, zlib
from concurrent.futures import ThreadPoolExecutor, ProcessPoolExecutor
from joblib import Parallel, delayed
def clock(f):
    t = time.perf_counter(); f(); return time.perf_counter() - t
def nothing(i): return i
data = memoryview(bytes(16 << 20))
per_byte = min(clock(lambda: zlib.crc32(data)) for _ in range(3)) / len(data)
def work(i):
    mean = ((i * 2654435761 & 0xffffffff) >> 16) % 1000 / 1000
    zlib.crc32(data[:int(1e-3 * (0.25 + 1.5 * mean) / per_byte)])
def measure(best_rate, loop):
    print(best_rate)
    print(clock(lambda: [work(i) for i in range(600)]) / loop())
)";
  const auto joblib = bench::python(common + "backend = '" + joblib_backend + "'" + R"(
with Parallel(n_jobs=2, backend=backend) as p:
    p(delayed(nothing)(i) for i in range(100))
    measure(20000 / clock(lambda: p(delayed(nothing)(i) for i in range(20000))),
            lambda: clock(lambda: p(delayed(work)(i) for i in range(600))))
)");
  const auto futures = bench::python(common + "executor = " + executor + R"(
with executor(2) as p:
    list(p.map(nothing, range(100)))
    measure(max(20000 / clock(lambda: list(p.map(nothing, range(20000), chunksize=c)))
                for c in (100, 1000, 5000)),
            lambda: clock(lambda: list(p.map(work, range(600)))))
)");
  for (const auto& [name, peer] :
       {std::pair("joblib " + joblib_backend, joblib), std::pair(executor, futures)}) {
    bench::row(backend + ": tasks that do nothing", "tasks/s", 1e6 / times[0], name, at(peer, 0),
               bench::Goal::at_least, 2);
    bench::row(backend + ": 600 uneven tasks of about 1 ms", "speed-up", times[1] / times[2], name,
               at(peer, 1), bench::Goal::at_least, 0.98);
  }
}

void run() {
  bench::note("on " + std::to_string(std::thread::hardware_concurrency()) + " processors");
  start_of_forks();
  empty_tasks();
  real_tasks("threads", 10, 40'000, 1.95);
  real_tasks("threads", 1000, 600, 1.95);
  real_tasks("fork", 10, 40'000, 1.9);
  real_tasks("fork", 1000, 600, 1.9);
  real_tasks("spawn", 10, 40'000, 1.9);
  real_tasks("spawn", 1000, 600, 1.9);
  beside_python("threads", "threading", "ThreadPoolExecutor");
  beside_python("fork", "multiprocessing", "ProcessPoolExecutor");
}

const bench::Group group("parallel", run);

}  // namespace
