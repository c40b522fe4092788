// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>
#include <hoist/array.hpp>
#include <hoist/memory.hpp>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <random>
#include <vector>

#include "support/temp_dir.hpp"

// Eight processes perform all operations on one cache at once and are killed meanwhile. Takes
// HOIST_FAULTS_SECONDS (8 if not set).

using hoist::Array;
using hoist::Memory;
using support::TempDir;
using Clock = std::chrono::steady_clock;

namespace {

Array<const double> values(int seed) {
  auto result = Array<double>::uninitialized({static_cast<std::size_t>(1 + seed * 53 % 9000)});
  for (std::size_t i = 0; i < result.size(); ++i)
    result[i] = seed * 1000.0 + static_cast<double>(i);
  return result;
}

bool is_right(const Array<const double>& found, int seed) {
  if (found.size() != static_cast<std::size_t>(1 + seed * 53 % 9000)) return false;
  for (std::size_t i = 0; i < found.size(); ++i) {
    if (found[i] != seed * 1000.0 + static_cast<double>(i)) return false;
  }
  return true;
}

/// The work of one process. Exit codes: 0 success, 1 a wrong value, 2 an exception.
int live(const std::string& location, unsigned seed, Clock::time_point until) {
  ::alarm(60);  // a hang ends as death by SIGALRM, which the parent sees
  std::mt19937 random(seed);
  try {
    const Memory memory(location,
                        {.mmap_mode = seed % 3 == 0 ? hoist::MmapMode::read : hoist::MmapMode::none,
                         .bytes_limit = "3M",
                         .items_limit = 150,
                         .hot_bytes = seed % 2 == 0 ? "100K" : "0",
                         .on_store_error = hoist::OnStoreError::ignore});
    const auto cached = memory.cache(values);
    std::vector<std::pair<int, Array<const double>>> held;
    while (Clock::now() < until) {
      const int key = static_cast<int>(random() % 250);
      const auto what = random() % 1000;
      if (what < 3) {
        memory.clear();
      } else if (what < 6) {
        cached.clear();
      } else if (what < 20) {
        memory.reduce_size({.items_limit = random() % 200});
      } else if (what < 60) {
        if (!is_right(cached.call(key).value, key)) return 1;
      } else if (what < 100) {
        (void)cached.check_call_in_cache(key);
      } else {
        auto found = cached(key);
        if (!is_right(found, key)) return 1;
        if (held.size() < 30)
          held.emplace_back(key, std::move(found));
        else
          held[random() % held.size()] = {key, std::move(found)};
      }
      if (what == 500) {
        for (const auto& [known, old] : held) {
          if (!is_right(old, known)) return 1;
        }
      }
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 2;
  }
  return 0;
}

}  // namespace

TEST_CASE("eight processes get, put, evict, clear and are killed") {
  const char* wanted = std::getenv("HOIST_FAULTS_SECONDS");
  const auto until = Clock::now() + std::chrono::seconds(wanted == nullptr ? 8 : std::atoi(wanted));
  const TempDir dir;
  const std::string location = dir / "cache";
  unsigned seed = 1;
  const auto start = [&] {
    const pid_t child = ::fork();
    if (child == 0) ::_exit(live(location, seed, until));
    ++seed;
    return child;
  };
  std::vector<pid_t> children;
  for (int i = 0; i < 8; ++i) children.push_back(start());
  std::mt19937 random(7);
  int killed = 0;
  while (Clock::now() < until) {
    std::this_thread::sleep_for(std::chrono::milliseconds(random() % 40));
    pid_t& victim = children[random() % children.size()];
    ::kill(victim, SIGKILL);
    int status = 0;
    ::waitpid(victim, &status, 0);
    if (WIFEXITED(status)) CHECK(WEXITSTATUS(status) == 0);
    ++killed;
    victim = start();
  }
  for (const pid_t child : children) {
    int status = 0;
    ::waitpid(child, &status, 0);
    CAPTURE(WTERMSIG(status));
    CHECK(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 0);
  }
  CHECK(killed > 20);
  // The next start removes what the killed processes left, and finds a valid cache.
  const Memory memory(location);
  CHECK(support::count_entries(dir / "cache/.hoist/tmp") == 0);
  const auto cached = memory.cache(values);
  for (int i = 0; i < 250; ++i) CHECK(is_right(cached(i), i));
  CHECK(memory.stats().errors == 0);
}
