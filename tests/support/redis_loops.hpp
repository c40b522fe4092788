// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <doctest/doctest.h>
#include <hoist/delayed.hpp>
#include <hoist/parallel.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <functional>
#include <numeric>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "os/process_end.hpp"
#include "support/child.hpp"
#include "support/redis_server.hpp"
#include "support/temp_dir.hpp"

// Worker hosts of a Redis server, and programs whose loops run on them.

namespace support {

inline void require(bool holds, const char* what) {
  if (!holds) throw std::runtime_error(what);
}

/// This program as a worker host with so many workers.
inline Daemon host(const RedisServer& server, unsigned slots = 2, const std::string& url = {}) {
  return Daemon({"env", "HOIST_WORKER=" + (url.empty() ? server.url() : url),
                 "HOIST_MAX_CPU_COUNT=" + std::to_string(slots),
                 std::filesystem::read_symlink("/proc/self/exe").string()},
                (server.directory() / "host.log").string());
}

/// A process with loops on the hosts of that server; each is a program of its own.
inline Child master(const RedisServer& server, const std::function<void()>& work,
                    const std::string& url = {}) {
  return Child([&] {
    ::setenv("HOIST_URL", url.empty() ? server.url().c_str() : url.c_str(), 1);
    try {
      work();
    } catch (const std::exception& error) {
      std::fprintf(stderr, "in the master: %s\n", error.what());
      throw;
    }
    hoist::detail::os::run_process_end();
  });
}

inline void wait_until(const std::function<bool()>& holds) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (!holds()) {
    require(std::chrono::steady_clock::now() < end, "waited in vain");
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

inline void wait_for_hosts(const RedisServer& server, int n) {
  wait_until([&] { return server.command("ZCARD '{hoist:test}:hosts'") == std::to_string(n); });
}

/// Adds a line to a file, which counts what is run on all hosts.
inline int logged(const std::string& log, int x) {
  std::ofstream(log, std::ios::app) << std::to_string(x) + "\n" << std::flush;
  std::this_thread::sleep_for(std::chrono::milliseconds(5));
  return x * x;
}

inline int lines(const std::string& path) {
  const std::string text = support::slurp(path);
  return static_cast<int>(std::ranges::count(text, '\n'));
}

inline std::vector<int> numbers(int n) {
  std::vector<int> all(static_cast<std::size_t>(n));
  std::iota(all.begin(), all.end(), 0);
  return all;
}

/// A loop of `n` tasks whose results are right, each of which took 5 ms, or longer.
inline void loop(const std::string& log, int n, int (*task)(const std::string&, int) = logged) {
  std::vector<decltype(hoist::delayed(task)(log, 0))> tasks;
  for (int i = 0; i < n; ++i) tasks.push_back(hoist::delayed(task)(log, i));
  const auto squares = hoist::Parallel({.backend = "redis"})(std::move(tasks));
  require(squares.size() == static_cast<std::size_t>(n), "results are missing");
  for (int i = 0; i < n; ++i) {
    require(squares[static_cast<std::size_t>(i)] == i * i, "wrong result");
  }
}

/// Once hosts and masters have ended; what they could not remove expires after ten seconds.
inline void check_that_nothing_is_left(const RedisServer& server) {
  CHECK_NOTHROW(wait_until([&] { return server.command("KEYS '*'").empty(); }));
}

}  // namespace support
