// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>
#include <hoist/error.hpp>
#include <hoist/parallel.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <mutex>
#include <ranges>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "support/hard_limit.hpp"
#include "support/temp_dir.hpp"

// How long what a loop reads is kept: as long as it may be needed, and no longer.

using namespace hoist;
using namespace std::chrono_literals;

namespace {

/// Counts those that there are.
struct Counted {
  explicit Counted(int x) : value(x) { ++alive; }
  Counted(const Counted& other) : value(other.value) { ++alive; }
  Counted& operator=(const Counted&) = default;
  ~Counted() { --alive; }
  int value;
  static inline std::atomic<int> alive{0};
};

/// Task 1 ends once somebody has seen the result of task 0.
struct WaitForFirst {
  std::string path;
  int operator()(int i) const {
    for (int k = 0; i == 1 && !std::filesystem::exists(path); ++k) {
      if (k == 10'000) throw std::runtime_error("the first result never came");
      std::this_thread::sleep_for(1ms);
    }
    return i;
  }
};

auto counted(int n) {
  return std::views::iota(0, n) | std::views::transform([](int i) { return Counted(i); });
}

auto texts(int n) {
  return std::views::iota(0, n) |
         std::views::transform([](int i) { return std::string(100, 'a') + std::to_string(i); });
}

}  // namespace

TEST_CASE("a task that took too long is run again with the item it had") {
  for (const std::string backend : {"sequential", "threads"}) {
    CAPTURE(backend);
    std::atomic<bool> was_slow = false;
    const Parallel parallel({.n_jobs = 2, .backend = backend, .task_timeout = 0.05, .retries = 2});
    const auto last = [&](const std::string& text) {
      if (text.ends_with("a1") && !was_slow.exchange(true)) std::this_thread::sleep_for(200ms);
      return text.substr(99);
    };
    const auto results = parallel.map(texts(4), last);
    CHECK(results == std::vector<std::string>{"a0", "a1", "a2", "a3"});
    was_slow = false;
    std::vector<std::string> into(4);
    parallel.map_into(texts(4), last, into.begin());
    CHECK(into == results);
  }
}

TEST_CASE("a loop without results keeps no items of tasks that are done") {
  const Parallel parallel({.n_jobs = 2, .backend = "threads", .batch_size = 1});
  int most = 0;
  std::mutex mutex;
  parallel.for_each(counted(20'000), [&](const Counted&) {
    const std::lock_guard lock(mutex);
    most = std::max(most, Counted::alive.load());
  });
  CHECK(most < 1'000);
  CHECK(Counted::alive == 0);
}

TEST_CASE("nor does a loop without results whose tasks may be run again") {
  int most = 0;
  std::mutex mutex;
  const auto look = [&](const Counted& item) {
    const std::lock_guard lock(mutex);
    most = std::max(most, Counted::alive.load());
    if (item.value == 3) throw std::runtime_error("no");
  };
  const Parallel retrying({.n_jobs = 2,
                           .backend = "threads",
                           .batch_size = 1,
                           .task_timeout = 60,
                           .retries = 1,
                           .on_error = OnError::finish});
  CHECK_THROWS_AS(retrying.for_each(counted(20'000), look), LoopErrors);
  CHECK(most < 1'000);
  CHECK(Counted::alive == 0);
}

TEST_CASE("a failure doesn't make a generator keep what comes after it") {
  const Parallel parallel(
      {.n_jobs = 2, .backend = "threads", .batch_size = 1, .on_error = OnError::finish});
  int results = 0;
  int most = 0;
  const auto run = [&] {
    auto generator = parallel.generator_unordered(counted(20'000), [](const Counted& item) {
      if (item.value == 3) throw std::runtime_error("no");
      return item;
    });
    for (const auto& result : generator) {
      CHECK(result.value.value != 3);
      ++results;
      most = std::max(most, Counted::alive.load());
    }
  };
  CHECK_THROWS_AS(run(), std::runtime_error);
  CHECK(results == 19'999);
  CHECK(most < 1'000);
}

TEST_CASE("any batch size ends") {
  const support::HardLimit limit;
  for (const long long size : {1LL << 31, 1LL << 62}) {
    CHECK(Parallel({.n_jobs = 2, .backend = "threads", .batch_size = size})
              .map(texts(3), [](const std::string& text) { return text.size(); }) ==
          std::vector<std::size_t>(3, 101));
  }
}

TEST_CASE("a result doesn't wait for the next task of its batch") {
  const support::TempDir dir;
  const std::string path = (dir / "first").string();
  for (const std::string backend : {"fork", "spawn"}) {
    for (const int n_jobs : {1, 2}) {
      CAPTURE(backend);
      CAPTURE(n_jobs);
      std::filesystem::remove(path);
      auto results =
          Parallel({.n_jobs = n_jobs, .backend = backend, .batch_size = 2, .force_fork = true})
              .generator_unordered(std::views::iota(0, 2), WaitForFirst{path});
      std::vector<int> came;
      for (const auto& result : results) {
        came.push_back(result.value);
        support::spill(path, "");
      }
      CHECK(came == std::vector<int>{0, 1});
    }
  }
}
