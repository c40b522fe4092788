// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/asio.hpp>
#include <hoist/executor.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <cstddef>
#include <string>

#include "bench.hpp"

// Coroutines that await calls on threads, beside Asio's own means.

namespace {

namespace asio = boost::asio;

constexpr int in_flight = 100;
constexpr int each = 1000;

int increment(int x) { return x + 1; }

/// Runs `in_flight` coroutines, each of which awaits `each` calls in turn.
template <class Call>
void run(Call call) {
  asio::io_context context;
  for (int i = 0; i < in_flight; ++i) {
    asio::co_spawn(
        context,
        [&call]() -> asio::awaitable<void> {
          for (int n = 0; n < each; ++n) bench::keep(co_await call(n));
        },
        asio::detached);
  }
  context.run();
}

void coroutines() {
  for (const int workers : {1, 2}) {
    const hoist::ThreadPoolExecutor executor({.max_workers = workers});
    asio::thread_pool pool(static_cast<std::size_t>(workers));
    const auto ours = [&](int n) { return hoist::async_run(executor, increment, n); };
    const auto by_hand = [&](int n) {
      return asio::co_spawn(
          pool, [n]() -> asio::awaitable<int> { co_return increment(n); }, asio::use_awaitable);
    };
    const auto took = bench::medians(7, {[&] { run(ours); }, [&] { run(by_hand); }});
    const double to_us = 1e6 / (in_flight * each);
    bench::row("co_await async_run, 10^5 calls, 100 in flight, " +
                   std::string(workers == 1 ? "1 thread" : "2 threads"),
               "us", took[0] * to_us, "co_spawn on asio::thread_pool", took[1] * to_us,
               bench::Goal::at_most, 1.3);
  }
}

const bench::Group group("futures", coroutines);

}  // namespace
