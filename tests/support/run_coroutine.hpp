// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <boost/asio.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <cstddef>
#include <exception>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

namespace support {

/// Runs a coroutine to its end, which must come soon, on this and other threads.
inline void run(boost::asio::awaitable<void> task, std::size_t threads = 1) {
  boost::asio::io_context io;
  std::optional<std::exception_ptr> end;
  boost::asio::co_spawn(io, std::move(task), [&](std::exception_ptr error) { end = error; });
  const auto take_part = [&] { io.run_for(std::chrono::seconds(60)); };
  std::vector<std::thread> others;
  for (std::size_t i = 1; i < threads; ++i) others.emplace_back(take_part);
  take_part();
  for (std::thread& other : others) other.join();
  REQUIRE(end.has_value());
  if (*end) std::rethrow_exception(*end);
}

}  // namespace support
