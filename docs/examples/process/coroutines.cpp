// SPDX-License-Identifier: BSD-3-Clause
//
// Coroutines that await calls in worker processes: one by one, and several at a time.

#include <hoist/asio.hpp>
#include <hoist/hoist.hpp>

#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>

#include <cstdio>
#include <exception>
#include <vector>

namespace {

namespace asio = boost::asio;

long count_multiples(long divisor, long below) {
  long found = 0;
  for (long n = 1; n < below; ++n) found += n % divisor == 0 ? 1 : 0;
  return found;
}

asio::awaitable<void> show(hoist::ProcessPoolExecutor& workers) {
  const long threes = co_await hoist::async_run(workers, count_multiples, 3, 1000);
  std::printf("multiples of 3: %ld\n", threes);

  const auto of_seven = hoist::partial(count_multiples, 7);
  const auto [small, large] = co_await hoist::gather(hoist::async_run(workers, of_seven, 1000),
                                                     hoist::async_run(workers, of_seven, 10000));
  std::printf("multiples of 7: %ld and %ld\n", small, large);

  std::vector<asio::awaitable<long>> calls;
  for (long divisor = 0; divisor < 4; ++divisor) {
    calls.push_back(hoist::async_run(
        workers,
        [](long d) {
          if (d == 0) throw hoist::BadArgument("no number is a multiple of 0");
          return count_multiples(d, 1000);
        },
        divisor));
  }
  for (const auto& outcome : co_await hoist::gather(calls, {.return_exceptions = true})) {
    if (outcome) {
      std::printf("%zu: %ld\n", outcome.index(), *outcome);
    } else {
      std::printf("%zu: %s\n", outcome.index(), outcome.message().c_str());
    }
  }
}

}  // namespace

int main() {
  hoist::ProcessPoolExecutor workers({.max_workers = 2});
  asio::io_context io;
  asio::co_spawn(io, show(workers), [](const std::exception_ptr& error) {
    if (error) std::rethrow_exception(error);
  });
  io.run();
}
