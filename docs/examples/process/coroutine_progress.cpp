// SPDX-License-Identifier: BSD-3-Clause
//
// A progress bar that grows as results come, in whatever order.

#include <hoist/asio.hpp>
#include <hoist/hoist.hpp>

#include <boost/asio/io_context.hpp>

#include <cstdio>
#include <exception>
#include <optional>
#include <string>
#include <vector>

namespace {

namespace asio = boost::asio;

/// How many steps the Collatz sequence takes from n to 1.
int steps(long n) {
  int count = 0;
  for (; n != 1; ++count) n = n % 2 == 0 ? n / 2 : 3 * n + 1;
  return count;
}

asio::awaitable<void> find_longest(hoist::ProcessPoolExecutor& workers) {
  constexpr std::size_t n = 20;
  std::vector<asio::awaitable<int>> calls;
  for (long i = 1; i <= long{n}; ++i) calls.push_back(hoist::async_run(workers, steps, 1000 * i));

  auto done = hoist::as_completed(calls);
  int longest = 0;
  std::string bar;
  while (const std::optional<int> count = co_await done.next()) {
    longest = std::max(longest, *count);
    bar += '#';
    std::printf("[%-20s] %3zu %%\n", bar.c_str(), bar.size() * 100 / n);
  }
  std::printf("the longest sequence has %d steps\n", longest);
}

}  // namespace

int main() {
  hoist::ProcessPoolExecutor workers({.max_workers = 2});
  asio::io_context io;
  asio::co_spawn(io, find_longest(workers), [](const std::exception_ptr& error) {
    if (error) std::rethrow_exception(error);
  });
  io.run();
}
