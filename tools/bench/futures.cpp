// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/executor.hpp>
#include <hoist/parallel.hpp>
#include <hoist/pool.hpp>

#include <malloc.h>
#include <tbb/task_group.h>

#include <future>
#include <limits>
#include <numeric>
#include <ranges>
#include <thread>
#include <vector>

#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_future.hpp>

#include "bench.hpp"

// Executors and pools beside Boost.Asio, oneTBB, std::async, concurrent.futures and
// multiprocessing.Pool, all with two workers.

namespace {

using bench::Goal;

constexpr int workers = 2;
constexpr int many = 1'000'000;
constexpr int single = 20'000;

void nothing() {}
int increment(int x) { return x + 1; }

double nan_if_empty(const std::vector<double>& numbers, std::size_t i = 0) {
  return numbers.size() > i ? numbers[i] : std::numeric_limits<double>::quiet_NaN();
}

void on_threads() {
  hoist::ThreadPoolExecutor executor({.max_workers = workers});
  boost::asio::thread_pool asio(workers);
  const auto ours = [&](int n) {
    std::vector<hoist::Future<void>> futures;
    futures.reserve(static_cast<std::size_t>(n));
    for (int i = 0; i < n; ++i) futures.push_back(executor.submit(nothing));
    for (const auto& future : futures) future.result();
  };
  const auto by_asio = [&](int n) {
    std::vector<std::future<void>> futures;
    futures.reserve(static_cast<std::size_t>(n));
    for (int i = 0; i < n; ++i) {
      futures.push_back(boost::asio::post(asio, boost::asio::use_future(nothing)));
    }
    for (auto& future : futures) future.get();
  };
  const auto by_tbb = [](int n) {
    tbb::task_group group;
    for (int i = 0; i < n; ++i) group.run(nothing);
    group.wait();
  };
  const auto all =
      bench::medians(5, {[&] { ours(many); }, [&] { by_asio(many); }, [&] { by_tbb(many); }});
  const double each = 1e9 / many;
  bench::row("ThreadPoolExecutor, 10^6 empty submits and results", "ns", all[0] * each,
             "asio::thread_pool, use_future", all[1] * each, Goal::at_most, 1);
  bench::row("ThreadPoolExecutor, 10^6 empty submits and results", "ns", all[0] * each,
             "tbb::task_group, no results", all[2] * each, Goal::at_most, 2);

  const auto one = bench::medians(
      7, {[&] {
            for (int i = 0; i < single; ++i) bench::keep(executor.submit(increment, i).result());
          },
          [&] {
            for (int i = 0; i < single; ++i) {
              bench::keep(
                  boost::asio::post(asio, boost::asio::use_future([i] { return increment(i); }))
                      .get());
            }
          },
          [&] {
            for (int i = 0; i < single / 10; ++i) {
              bench::keep(std::async(std::launch::async, increment, i).get());
            }
          }});
  bench::row("ThreadPoolExecutor, submit and result, one at a time", "us", one[0] * 1e6 / single,
             "asio::thread_pool, use_future", one[1] * 1e6 / single, Goal::at_most, 1.2);
  bench::row("ThreadPoolExecutor, submit and result, one at a time", "us", one[0] * 1e6 / single,
             "std::async", one[2] * 1e7 / single, Goal::at_most, 1);
}

void on_processes() {
  hoist::ProcessPoolExecutor executor({.max_workers = workers});
  // One task under way at a time, as with the executor: map() would send the next one ahead.
  const hoist::Parallel loop({.n_jobs = 1, .backend = "spawn", .pre_dispatch = 1, .batch_size = 1});
  const auto items = std::views::iota(0, single);
  const auto one = bench::medians(7, {[&] {
                                        for (int i = 0; i < single; ++i)
                                          bench::keep(executor.submit(increment, i).result());
                                      },
                                      [&] {
                                        for (const int x : loop.generator(items, increment))
                                          bench::keep(x);
                                      }});
  const auto all = bench::medians(5, {[&] {
                                    std::vector<hoist::Future<void>> futures;
                                    futures.reserve(many);
                                    for (int i = 0; i < many; ++i)
                                      futures.push_back(executor.submit(nothing));
                                    for (const auto& future : futures) future.result();
                                  }});
  const auto python = bench::python(R"(
import time
from concurrent.futures import ProcessPoolExecutor
def nothing(): pass
with ProcessPoolExecutor(2) as executor:
    executor.submit(nothing).result()
    t = time.perf_counter()
    for _ in range(500): executor.submit(nothing).result()
    print((time.perf_counter() - t) / 500)
    t = time.perf_counter()
    futures = [executor.submit(nothing) for _ in range(10000)]
    for future in futures: future.result()
    print((time.perf_counter() - t) / 10000)
)");
  bench::row("ProcessPoolExecutor, submit and result, one at a time", "1/s", single / one[0],
             "concurrent.futures", 1 / nan_if_empty(python), Goal::at_least, 100);
  bench::row("ProcessPoolExecutor, submit and result, one at a time", "us", one[0] * 1e6 / single,
             "a spawn loop, one at a time", one[1] * 1e6 / single, Goal::at_most, 1.3);
  bench::row("ProcessPoolExecutor, 10^6 empty submits and results", "1/s", many / all[0],
             "concurrent.futures", 1 / nan_if_empty(python, 1), Goal::at_least, 50);

  std::vector<int> numbers(many);
  std::iota(numbers.begin(), numbers.end(), 0);
  hoist::Pool pool(workers);
  const auto maps = bench::medians(3, {[&] { bench::keep(pool.map(increment, numbers)); },
                                       [&] { bench::keep(pool.map(increment, numbers, 1)); }});
  const auto pools = bench::python(R"(
import time, multiprocessing
def increment(x): return x + 1
def nothing(x): pass
numbers = list(range(1000000))
with multiprocessing.Pool(2) as pool:
    pool.map(increment, numbers[:1000])
    def best(f, chunks):
        times = []
        for chunk in chunks:
            t = time.perf_counter()
            pool.map(f, numbers, chunk)
            times.append(time.perf_counter() - t)
        return min(times)
    print(best(nothing, [1000, 10000, 50000, None]))
    print(best(increment, [None, None, None]))
    t = time.perf_counter()
    pool.map(increment, numbers[:20000], 1)
    print((time.perf_counter() - t) * 50)
)");
  bench::row("ProcessPoolExecutor, 10^6 empty submits and results", "1/s", many / all[0],
             "Pool.map, best chunk", many / nan_if_empty(pools), Goal::at_least, 2);
  bench::row("Pool.map, 10^6 ints", "1/s", many / maps[0], "multiprocessing.Pool",
             many / nan_if_empty(pools, 1), Goal::at_least, 2);
  bench::row("Pool.map, 10^6 ints, chunksize 1", "1/s", many / maps[1], "multiprocessing.Pool",
             many / nan_if_empty(pools, 2), Goal::at_least, 20);
}

void sets() {
  constexpr int n = 100'000;
  std::vector<hoist::Future<int>> futures;
  for (int i = 0; i < n; ++i) {
    hoist::Promise<int> promise;
    promise.set_value(i);
    futures.push_back(promise.future());
  }
  const auto took = bench::medians(5, {[&] {
                                     long sum = 0;
                                     for (const auto& future : hoist::as_completed(futures))
                                       sum += future.result();
                                     bench::keep(sum);
                                   }});
  bench::row("as_completed, 10^5 done futures", "ns", took[0] * 1e9 / n, "limit", 1000,
             Goal::at_most, 1);

  // Those that wait behind one that blocks the only worker.
  hoist::ThreadPoolExecutor executor({.max_workers = 1});
  hoist::Promise<void> gate;
  auto blocked = executor.submit([future = gate.future()] { future.result(); });
  std::vector<hoist::Future<int>> queued;
  queued.reserve(n);
  const auto before = ::mallinfo2().uordblks;
  for (int i = 0; i < n; ++i) queued.push_back(executor.submit(increment, i));
  const auto after = ::mallinfo2().uordblks;
  gate.set_value();
  blocked.result();
  constexpr double arguments = sizeof(&increment) + sizeof(int);
  bench::row("memory of a queued call, beside its arguments", "bytes",
             static_cast<double>(after - before) / n - arguments, "limit", 200, Goal::at_most, 1);
}

void futures() {
  on_threads();
  on_processes();
  sets();
}

const bench::Group group("futures", futures);

}  // namespace
