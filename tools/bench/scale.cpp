// SPDX-License-Identifier: BSD-3-Clause
//
// Scaling with the number of processors: loops, hashes, dumps and loads on 1, 2, 4, ... and all of
// them, compared with OpenMP and oneTBB on the same tasks. The work grows with the processors, so
// that each step takes about as long; the speed-up is the ratio of the rates.
//
// This file is also built into a program without shared objects (hoist_bench_static), for machines
// where nothing is installed; oneTBB exists only as a shared object and is omitted there.

#include <hoist/array.hpp>
#include <hoist/cpu_count.hpp>
#include <hoist/dump.hpp>
#include <hoist/hash.hpp>
#include <hoist/parallel.hpp>

#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <ranges>
#include <span>
#include <string>
#include <utility>
#include <vector>

#ifndef HOIST_BENCH_WITHOUT_TBB
#include <tbb/blocked_range.h>
#include <tbb/parallel_for.h>
#include <tbb/partitioner.h>
#include <tbb/task_arena.h>
#endif

#include "bench.hpp"
#include "plain_file.hpp"

namespace {

using hoist::Array;
using hoist::Parallel;

constexpr std::size_t mib = std::size_t{1} << 20;
constexpr int rounds = 5;

const std::vector<int>& steps() {
  static const std::vector<int> all = [] {
    const int cores = hoist::cpu_count();
    std::vector<int> powers;
    for (int k = 1; k < cores; k *= 2) powers.push_back(k);
    powers.push_back(cores);
    return powers;
  }();
  return all;
}

struct Line {
  std::string name;
  std::vector<double> speedups = {};
};

/// The largest step that is still 5 % faster than all smaller ones; 1 if there is none.
int gains_to(const std::vector<double>& speedups) {
  int last = 1;
  double best = speedups.front();
  for (std::size_t i = 1; i < speedups.size(); ++i) {
    if (speedups[i] >= 1.05 * best) last = steps()[i];
    best = std::max(best, speedups[i]);
  }
  return last;
}

void print(const std::string& title, const std::vector<Line>& lines) {
  std::printf("%-42s", title.c_str());
  for (const int k : steps()) std::printf(" %7d", k);
  std::printf("   gains to\n");
  const std::string mark = bench::disturbance();
  for (const Line& line : lines) {
    std::printf("  %-40s", line.name.c_str());
    for (const double speedup : line.speedups) std::printf(" %7.2f", speedup);
    std::printf("   %8d%s\n", gains_to(line.speedups), mark.c_str());
  }
  std::fflush(stdout);
}

// --- The peers: a loop over a body.

template <class Body>
void openmp_static(int threads, int n, const Body& body) {
#pragma omp parallel for schedule(static) num_threads(threads)
  for (int i = 0; i < n; ++i) body(i);
}

template <class Body>
void openmp_dynamic(int threads, int n, const Body& body) {
#pragma omp parallel for schedule(dynamic, 1) num_threads(threads)
  for (int i = 0; i < n; ++i) body(i);
}

#ifdef HOIST_BENCH_WITHOUT_TBB

constexpr bool with_tbb = false;
template <class Body>
void tbb_static(int, int, const Body&) {}
template <class Body>
void tbb_auto(int, int, const Body&) {}

#else

constexpr bool with_tbb = true;

template <class Body, class Partitioner>
void in_arena(int threads, int n, const Body& body, const Partitioner& partitioner) {
  tbb::task_arena arena(threads);
  arena.execute([&] {
    tbb::parallel_for(
        tbb::blocked_range<int>(0, n),
        [&](const tbb::blocked_range<int>& range) {
          for (int i = range.begin(); i < range.end(); ++i) body(i);
        },
        partitioner);
  });
}
template <class Body>
void tbb_static(int threads, int n, const Body& body) {
  in_arena(threads, n, body, tbb::static_partitioner());
}
template <class Body>
void tbb_auto(int threads, int n, const Body& body) {
  in_arena(threads, n, body, tbb::auto_partitioner());
}

#endif

// --- Loops.

/// `ours(loop, n)` runs a loop of hoist over n tasks, `body(i)` is one of them. `work(n)` is the
/// amount of work of n tasks, `tasks(k)` the number of tasks for k processors. The plain loop runs
/// those for one processor.
template <class Ours, class Body>
void loops(const std::string& title, const std::function<int(int)>& tasks,
           const std::function<double(int)>& work, const Ours& ours, const Body& body) {
  std::vector<Line> lines;
  for (const char* name : {"hoist threads", "hoist fork", "hoist spawn", "OpenMP static",
                           "OpenMP dynamic", "oneTBB static", "oneTBB auto"}) {
    if (with_tbb || lines.size() < 5) lines.push_back({name});
  }
  for (const int k : steps()) {
    const int n = tasks(k);
    const int alone = tasks(1);
    const Parallel threads({.n_jobs = k, .backend = "threads"});
    // OpenMP's and oneTBB's threads exist, but tasks use nothing that they may have locked.
    const Parallel fork({.n_jobs = k, .backend = "fork", .force_fork = true});
    const Parallel spawn({.n_jobs = k, .backend = "spawn"});
    std::vector<std::function<void()>> works{[&] {
                                               for (int i = 0; i < alone; ++i) body(i);
                                             },
                                             [&] { ours(threads, n); },
                                             [&] { ours(fork, n); },
                                             [&] { ours(spawn, n); },
                                             [&] { openmp_static(k, n, body); },
                                             [&] { openmp_dynamic(k, n, body); }};
    if (with_tbb) {
      works.emplace_back([&] { tbb_static(k, n, body); });
      works.emplace_back([&] { tbb_auto(k, n, body); });
    }
    const auto times = bench::medians(rounds, works);
    const double plain = work(alone) / times[0];
    for (std::size_t i = 0; i < lines.size(); ++i) {
      lines[i].speedups.push_back(work(n) / times[i + 1] / plain);
    }
  }
  print(title, lines);
}

/// Arithmetic, so that nothing but the processor limits it. Not inlined, so that all run the same
/// code.
[[gnu::noinline]] void compute(long turns) {
  double x = 1;
  for (long i = 0; i < turns; ++i) x = x * 1.0000001 + 1e-9;
  bench::keep(x);
}

double turns_per_microsecond() {
  double best = 1;
  for (int i = 0; i < 5; ++i) best = std::min(best, bench::seconds([] { compute(1'000'000); }));
  return 1 / best;
}

/// The length of the i-th task: between a quarter and nearly twice the mean, in random order.
double length(int i) {
  const auto mixed = static_cast<unsigned>(i) * 2654435761U >> 16U;
  return 0.25 + 1.5 * (mixed % 1000) / 1000.0;
}

void arithmetic_loops(const std::string& title, double microseconds, int tasks_each) {
  const double mean = microseconds * turns_per_microsecond();
  const auto body = [mean](int i) { compute(static_cast<long>(mean * length(i))); };
  loops(
      title, [=](int k) { return k * tasks_each; },
      [](int n) {
        double sum = 0;
        for (int i = 0; i < n; ++i) sum += length(i);
        return sum;
      },
      [&](const Parallel& loop, int n) { loop.for_each(std::views::iota(0, n), body); }, body);
}

/// A part of the free memory, in whole blocks.
std::size_t bytes_for(std::size_t wanted, std::size_t block) {
  const auto free = static_cast<std::size_t>(::sysconf(_SC_AVPHYS_PAGES)) *
                    static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  return std::max<std::size_t>(std::min(wanted, free / 8) / block, 1) * block;
}

/// Larger than a processor's share of any cache; all blocks together exceed the caches, so tasks
/// read from memory.
constexpr std::size_t sum_bytes = 16 * mib;
using Number = std::uint64_t;

Number sum_of_block(const Array<const Number>& data, std::size_t block) {
  constexpr std::size_t n = sum_bytes / sizeof(Number);
  const Number* from = data.data() + block * n;
  Number sum = 0;
  for (std::size_t i = 0; i < n; ++i) sum += from[i];
  return sum;
}

Array<const Number> blocks_of_numbers(int blocks) {
  constexpr std::size_t n = sum_bytes / sizeof(Number);
  auto numbers = Array<Number>::uninitialized({static_cast<std::size_t>(blocks) * n});
  // Filled by many threads, so that the pages are spread over the memory nodes.
  Parallel({.backend = "threads"}).for_each(std::views::iota(0, blocks), [&](int block) {
    for (std::size_t i = 0; i < n; ++i) numbers[static_cast<std::size_t>(block) * n + i] = i;
  });
  return numbers;
}

void memory_loops() {
  const auto wanted = static_cast<std::size_t>(std::max(32, 4 * steps().back())) * sum_bytes;
  const std::size_t bytes = bytes_for(wanted, sum_bytes);
  const auto blocks = static_cast<int>(bytes / sum_bytes);
  const auto data = blocks_of_numbers(blocks);
  // Spawned workers get it as an argument. From then on it is a mapped file, whose pages forked
  // children would have to fault in again, so these inherit an array of their own.
  const auto sent = blocks_of_numbers(blocks);
  const auto body = [&](int i) { return sum_of_block(data, static_cast<std::size_t>(i)); };
  loops(
      "sums of " + std::to_string(sum_bytes / mib) + " MiB, " + std::to_string(bytes / mib) +
          " MiB in all",
      [=](int) { return blocks; }, [](int n) { return static_cast<double>(n); },
      [&](const Parallel& loop, int n) {
        const auto range = std::views::iota(0, n);
        if (loop.options().backend == "spawn") {
          bench::keep(loop(range | std::views::transform([&](int i) {
                             return hoist::delayed(sum_of_block)(sent, static_cast<std::size_t>(i));
                           })));
        } else {
          bench::keep(loop.map(range, body));
        }
      },
      [&](int i) { bench::keep(body(i)); });
}

// --- Arrays. hoist's own blocks are of this size, too.

constexpr std::size_t block_numbers = mib / sizeof(double);

std::span<double> block_of(const Array<double>& values, int i) {
  return {values.data() + static_cast<std::size_t>(i) * block_numbers, block_numbers};
}

/// A walk of random steps, which is what the other groups dump; a new one begins with each block.
Array<double> random_walk(std::size_t bytes) {
  auto walk = Array<double>::uninitialized({bytes / sizeof(double)});
  Parallel({.backend = "threads"})
      .for_each(std::views::iota(0, static_cast<int>(bytes / mib)), [&](int block) {
        double at = 0;
        std::uint64_t state = static_cast<std::uint64_t>(block) + 1;
        for (double& value : block_of(walk, block)) {
          state = state * 6364136223846793005ULL + 1442695040888963407ULL;
          value = at += static_cast<double>(static_cast<std::int64_t>(state)) * 0x1p-63;
        }
      });
  return walk;
}

/// For a process of its own: hash uses as many threads as there are processors for it.
void hash_in_process(int threads) {
  constexpr std::size_t each = 128 * mib;
  const std::size_t bytes = bytes_for(each * static_cast<std::size_t>(threads), mib);
  const auto walk = random_walk(bytes);
  const auto n = static_cast<int>(bytes / mib);
  std::vector<hoist::Digest> digests(static_cast<std::size_t>(n));
  const auto body = [&](int i) {
    digests[static_cast<std::size_t>(i)] = hoist::hash(std::span<const double>(block_of(walk, i)));
  };
  std::vector<std::function<void()>> works{[&] { bench::keep(hoist::hash(walk)); },
                                           [&] { openmp_static(threads, n, body); },
                                           [&] { openmp_dynamic(threads, n, body); }};
  if (with_tbb) {
    works.emplace_back([&] { tbb_static(threads, n, body); });
    works.emplace_back([&] { tbb_auto(threads, n, body); });
  }
  for (const double time : bench::medians(rounds, works)) {
    std::printf("%.9g\n", static_cast<double>(bytes) / time);
  }
}

const bench::Apart apart("hash", hash_in_process);

/// Speeds at all steps, of some contenders each, as speed-ups over each one's first.
void print_speeds(const std::string& title, const std::vector<std::string>& names,
                  const std::vector<std::vector<double>>& speeds) {
  std::vector<Line> lines;
  for (std::size_t i = 0; i < speeds.front().size(); ++i) {
    char base[32];
    std::snprintf(base, sizeof base, " (1: %.2f GB/s)", speeds.front()[i] / 1e9);
    Line& line = lines.emplace_back(Line{names[i] + base});
    for (const auto& step : speeds) line.speedups.push_back(step[i] / speeds.front()[i]);
  }
  print(title, lines);
}

void hashes() {
  std::vector<std::vector<double>> speeds;
  for (const int k : steps()) {
    speeds.push_back(bench::apart("hash", k, k));
    if (speeds.back().empty() || speeds.back().size() != speeds.front().size()) {
      bench::note("hash: its process failed");
      return;
    }
  }
  print_speeds("hash of 128 MiB for each processor",
               {"hoist", "OpenMP static", "OpenMP dynamic", "oneTBB static", "oneTBB auto"},
               speeds);
}

/// A directory in memory, if there is one, so that no disk limits the processors.
std::string in_memory(const std::string& name) {
  if (::access("/dev/shm", W_OK) != 0) return bench::scratch() + "/" + name;
  return "/dev/shm/hoist-bench-" + std::to_string(::getpid()) + "-" + name;
}

void dumps_and_loads() {
  constexpr std::size_t each = 64 * mib;
  const std::string ours = in_memory("walk.hoist");
  const std::string plain = in_memory("walk.plain");
  std::vector<std::vector<double>> dumped;
  std::vector<std::vector<double>> loaded;
  for (const int k : steps()) {
    const std::size_t bytes = bytes_for(each * static_cast<std::size_t>(k), mib);
    const auto walk = random_walk(bytes);
    const auto n = static_cast<int>(bytes / mib);
    bench::PlainFile file(plain, n);
    const auto dump_block = [&](int i) { file.dump_block(block_of(walk, i), i); };
    const auto threads = static_cast<unsigned>(k);
    const auto dump = [&](const auto& loop) {
      return [&] {
        file.begin();
        loop(k, n, dump_block);
      };
    };
    const auto load = [&](const auto& loop) {
      return [&] {
        const auto back = Array<double>::uninitialized({bytes / sizeof(double)});
        loop(k, n, [&](int i) { file.load_block(i, block_of(back, i)); });
        bench::keep(back.data());
      };
    };
    const auto by_openmp = [](int t, int m, const auto& body) { openmp_dynamic(t, m, body); };
    const auto by_tbb = [](int t, int m, const auto& body) { tbb_auto(t, m, body); };
    std::vector<std::function<void()>> dumps{[&] {
                                               ::unlink(ours.c_str());
                                               hoist::dump(walk, ours,
                                                           {.compress = true, .threads = threads});
                                             },
                                             dump(by_openmp)};
    std::vector<std::function<void()>> loads{
        [&] { bench::keep(hoist::load<Array<double>>(ours, {.threads = threads}).data()); },
        load(by_openmp)};
    if (with_tbb) {
      dumps.push_back(dump(by_tbb));
      loads.push_back(load(by_tbb));
    }
    for (const auto& [works, speeds] : {std::pair(&dumps, &dumped), std::pair(&loads, &loaded)}) {
      speeds->emplace_back();
      for (const double time : bench::medians(rounds, *works)) {
        speeds->back().push_back(static_cast<double>(bytes) / time);
      }
    }
    file.end();
  }
  ::unlink(ours.c_str());
  ::unlink(plain.c_str());
  const std::vector<std::string> names{"hoist", "OpenMP dynamic", "oneTBB auto"};
  print_speeds("dump, compressed, 64 MiB each", names, dumped);
  print_speeds("load of it", names, loaded);
}

void run() {
  const int cores = steps().back();
  bench::note("speed-ups on up to " + std::to_string(cores) +
              " processors; gains to: the last step that is 5 % faster than those before");
  if (cores <= 2) bench::note("a machine with so few processors shows no more steps than these");
  if (!with_tbb) bench::note("without oneTBB, which is not in a program without shared objects");
  bench::note("loops: over a plain loop in one thread");
  arithmetic_loops("uneven tasks of about 10 us", 10, 10'000);
  arithmetic_loops("uneven tasks of about 1 ms", 1000, 100);
  memory_loops();
  bench::note("arrays: over the same with one processor");
  hashes();
  dumps_and_loads();
}

const bench::Group group("scale", run);

}  // namespace
