// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>
#include <hoist/parallel.hpp>
#include <hoist/worker.hpp>

#include <csignal>
#include <cstdlib>
#include <fstream>
#include <new>
#include <thread>

#include "support/extended.hpp"
#include "support/sanitized.hpp"
#include "support/temp_dir.hpp"

using namespace hoist;
using namespace std::chrono_literals;
using support::sanitized;

namespace {

enum class Stage { encode_argument, decode_argument, run, encode_result, decode_result };
enum class Way { throws, exits, aborts, segfaults, killed, out_of_memory };
constexpr Way ways[] = {Way::throws,    Way::exits,  Way::aborts,
                        Way::segfaults, Way::killed, Way::out_of_memory};

void fail(Way way) {
  switch (way) {
    case Way::throws: throw std::range_error("planned");
    case Way::exits: std::exit(42);
    case Way::aborts: std::fputs("before the abort\n", stderr); std::abort();
    case Way::segfaults: {
      volatile int* volatile nowhere = nullptr;
      *nowhere = 1;  // NOLINT(clang-analyzer-core.NullDereference)
      break;
    }
    case Way::killed: ::raise(SIGKILL); break;
    case Way::out_of_memory: throw std::bad_alloc();
  }
}

/// Fails at one of the five stages of being sent.
struct Bomb {
  int index = 0;
  Stage stage{};
  Way way{};
  bool live = false;
  bool is_result = false;

  template <class Ar>
  void serialize(Ar& ar) {
    const bool was_result = is_result;
    ar(index, stage, way, live, is_result);
    if (!live) return;
    if (Ar::decoding) {
      if (in_worker() && stage == Stage::decode_argument) fail(way);
      if (!in_worker() && stage == Stage::decode_result) fail(way);
    } else if (in_worker()) {
      if (stage == Stage::encode_result) fail(way);
    } else if (stage == Stage::encode_argument && !was_result) {
      fail(way);
    }
  }
};

Bomb carry(Bomb bomb) {
  if (bomb.live && bomb.stage == Stage::run) fail(bomb.way);
  bomb.is_result = true;
  return bomb;
}

std::vector<Bomb> bombs(Stage stage, Way way) {
  std::vector<Bomb> all(8);
  for (int i = 0; i < 8; ++i) all[static_cast<std::size_t>(i)] = {i, stage, way, i == 3, false};
  return all;
}

void check_error(const std::exception_ptr& error, Way way) {
  try {
    std::rethrow_exception(error);
  } catch (const std::range_error& e) {
    CHECK(way == Way::throws);
    CHECK(std::string(e.what()) == "planned");
  } catch (const std::bad_alloc&) {
    CHECK(way == Way::out_of_memory);
  } catch (const WorkerDied& e) {
    CAPTURE(e.what());
    const std::string what = e.what();
    CHECK(what.find("task 3") != std::string::npos);
    CHECK(what.find(std::to_string(e.pid())) != std::string::npos);
    if (way == Way::exits) CHECK(e.exit_code() == 42);
    if (way == Way::aborts) CHECK(e.signal() == SIGABRT);
    if (way == Way::aborts) CHECK(what.find("before the abort") != std::string::npos);
    if (way == Way::segfaults && !sanitized) CHECK(e.signal() == SIGSEGV);
    if (way == Way::killed) CHECK(e.signal() == SIGKILL);
    CHECK(way != Way::throws);
    CHECK(way != Way::out_of_memory);
  }
}

std::size_t open_descriptors() { return support::count_entries("/proc/self/fd"); }

int value(int i) { return i + 1; }

}  // namespace

TEST_CASE("a task that fails anywhere on its way fails alone, and the next loop goes well") {
  for (const Stage stage : {Stage::encode_argument, Stage::decode_argument, Stage::run,
                            Stage::encode_result, Stage::decode_result}) {
    const bool here = stage == Stage::encode_argument || stage == Stage::decode_result;
    for (const Way way : ways) {
      // At the stages that run in the caller, a fault that ends the process ends the caller.
      if (here && way != Way::throws && way != Way::out_of_memory) continue;
      CAPTURE(static_cast<int>(stage));
      CAPTURE(static_cast<int>(way));
      const Parallel parallel({.n_jobs = 2, .backend = "spawn"});
      const auto outcomes = parallel.map_outcomes(bombs(stage, way), carry);
      REQUIRE(outcomes.size() == 8);
      for (std::size_t i = 0; i < 8; ++i) {
        CAPTURE(i);
        if (i == 3) {
          REQUIRE(!outcomes[i].has_value());
          check_error(outcomes[i].error(), way);
        } else {
          CHECK(outcomes[i].value().index == static_cast<int>(i));
        }
      }
      CHECK_THROWS(parallel.map(bombs(stage, way), carry));
      CHECK(parallel.map(std::vector{1, 2, 3}, value) == std::vector{2, 3, 4});
    }
  }
}

TEST_CASE("a worker that was killed between loops is replaced without a word") {
  const Parallel parallel({.n_jobs = 2, .backend = "spawn"});
  for (int round = 0; round < 5; ++round) {
    const int pid =
        parallel.map(std::vector{1}, [](int) { return static_cast<int>(::getpid()); })[0];
    ::kill(pid, SIGKILL);
    CHECK(parallel.map(std::vector{1, 2, 3}, value) == std::vector{2, 3, 4});
  }
}

TEST_CASE("task_timeout kills the worker and names the task") {
  const Parallel parallel({.n_jobs = 2, .backend = "spawn", .task_timeout = 0.3});
  const auto began = Clock::now();
  const auto outcomes = parallel.map_outcomes(std::vector{0, 1, 2, 3}, [](int i) {
    while (i == 2) ::pause();  // NOLINT(bugprone-infinite-loop)
    return i;
  });
  CHECK(Clock::now() - began < 60s);
  for (std::size_t i = 0; i < 4; ++i) {
    const bool expected = i != 2;
    CHECK(outcomes[i].has_value() == expected);
  }
  CHECK_THROWS_AS(outcomes[2].value(), TimedOut);
  CHECK_THROWS_WITH(outcomes[2].value(), doctest::Contains("task 2"));
}

TEST_CASE("descriptors stay flat over many loops") {
  const int loops = support::extended ? 10000 : 200;
  const Parallel parallel({.n_jobs = 2, .backend = "spawn"});
  const std::vector<double> large(200000, 1.5);
  const auto loop = [&] {
    return parallel(delayed([](const std::vector<double>& v) { return v[7]; })(large),
                    delayed([](std::size_t n) { return Array<double>({n}); })(std::size_t{200000}));
  };
  loop();
  const std::size_t before = open_descriptors();
  for (int i = 0; i < loops; ++i) {
    const auto [first, second] = loop();
    CHECK(first == 1.5);
    CHECK(second.size() == 200000);
  }
  CHECK(open_descriptors() <= before + 2);
}

TEST_CASE("many threads run loops at once") {
  std::vector<std::thread> threads;
  std::atomic<int> good{0};
  for (int t = 0; t < (sanitized ? 8 : 64); ++t) {
    threads.emplace_back([&, t] {
      const Parallel parallel({.n_jobs = 2, .backend = "spawn"});
      for (int round = 0; round < 2; ++round) {
        if (parallel.map(std::vector{t, t + 1, t + 2}, value) == std::vector{t + 1, t + 2, t + 3}) {
          ++good;
        }
      }
    });
  }
  const auto count = static_cast<int>(threads.size());
  for (auto& thread : threads) thread.join();
  CHECK(good == 2 * count);
}

TEST_CASE("workers leave after max_tasks, and others take their place") {
  const Parallel parallel(
      {.n_jobs = 2, .backend = "spawn", .batch_size = 1, .workers = {.max_tasks = 3}});
  const auto pids =
      parallel.map(std::views::iota(0, 20), [](int) { return static_cast<int>(::getpid()); });
  std::map<int, int> tasks;
  for (int pid : pids) ++tasks[pid];
  CHECK(tasks.size() >= 7);
  for (const auto& [pid, n] : tasks) CHECK(n <= 3);
}

TEST_CASE("an initializer that throws is the loop's error") {
  const Parallel parallel({.n_jobs = 2, .backend = "spawn", .workers = {.initializer = [] {
                                                              throw std::domain_error("no model");
                                                            }}});
  CHECK_THROWS_WITH_AS(parallel.map(std::vector{1, 2, 3}, value), "no model", std::domain_error);
}

TEST_CASE("an initializer that ends its worker is named, not a task that never ran") {
  const Parallel parallel(
      {.n_jobs = 2, .backend = "spawn", .workers = {.initializer = [] { ::_exit(3); }}});
  try {
    parallel.map(std::vector{1, 2, 3}, value);
    FAIL("the loop went on");
  } catch (const hoist::WorkerDied& error) {
    const std::string what = error.what();
    CAPTURE(what);
    CHECK(what.find("exited with code 3 before it began task") != std::string::npos);
    CHECK(what.find("initializer") != std::string::npos);
  }
}
