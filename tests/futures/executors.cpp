// SPDX-License-Identifier: BSD-3-Clause
//
// Executors on all backends: submit, map, cancel, shutdown, options.
#include <doctest/doctest.h>
#include <hoist/error.hpp>
#include <hoist/executor.hpp>
#include <hoist/future.hpp>
#include <hoist/stop.hpp>
#include <hoist/worker.hpp>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <latch>
#include <memory>
#include <mutex>
#include <ranges>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "futures/support.hpp"
#include "support/child_program.hpp"
#include "support/processes.hpp"
#include "support/temp_dir.hpp"

using namespace hoist;
using namespace std::chrono_literals;
using namespace futures;

namespace {

struct Adder {
  int base = 0;
  int operator()(int x) const { return base + x; }
  int plus(int x) const { return base + x; }
};

std::string variable(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  return value != nullptr ? value : "";
}

struct Table {
  int base = 0;
  int pid = 0;
};
Table make_table(int base) { return {base, own_pid()}; }
int look_up(int x) { return worker_state<Table>().base + x; }
int refuse_to_start(const std::string& mark) {
  if (!std::filesystem::exists(mark)) throw std::length_error("no table");
  return 1;
}

/// Leaves a mark, then sleeps until it is stopped, or another mark is there.
int note_and_wait(const std::string& mark, const std::string& end) {
  support::note_pids(mark, {own_pid()});
  for (int i = 0; i < 6000 && !stop_requested() && !std::filesystem::exists(end); ++i) {
    std::this_thread::sleep_for(10ms);
  }
  return 1;
}
bool begun(const std::string& mark) {
  return support::within(30s, [&] { return std::filesystem::exists(mark); });
}

/// Counts objects of this process.
struct Counted {
  int value = 0;
  Counted() { ++alive; }
  explicit Counted(int x) : value(x) { ++alive; }
  Counted(const Counted& other) : value(other.value) { ++alive; }
  Counted& operator=(const Counted&) = default;
  ~Counted() { --alive; }
  template <class Ar>
  void serialize(Ar& ar) {
    ar(value);
  }
  static inline std::atomic<int> alive{0};
};
Counted twice(const Counted& x) { return Counted(2 * x.value); }

/// Fails the first time.
int spin(std::chrono::microseconds time) {
  const auto end = std::chrono::steady_clock::now() + time;
  while (std::chrono::steady_clock::now() < end) {
  }
  return static_cast<int>(time.count());
}
int fail_once(const std::string& mark, int x) {
  if (!std::filesystem::exists(mark)) {
    support::spill(mark, "x");
    throw std::runtime_error("first time");
  }
  return x;
}

/// For map.
struct NoteAndWait {
  std::string directory;
  int operator()(int i) const {
    return note_and_wait(directory + "/" + std::to_string(i), directory + "/end");
  }
};
struct Spill {
  std::string directory;
  void operator()(int i) const { support::spill(directory + "/" + std::to_string(i), "x"); }
};

int endless(int depth) {
  ThreadPoolExecutor inner({.max_workers = 1});
  return inner.submit(endless, depth + 1).result();
}

}  // namespace

TEST_CASE("submit takes functions, objects, lambdas, members and calls that are made already") {
  for_each_backend([](On on) {
    const auto executor = make_executor(on, {.max_workers = 2});
    CHECK(executor->max_workers() == 2);
    CHECK(executor->submit(add, 1, 2).result() == 3);
    CHECK(executor->submit(Adder{5}, 2).result() == 7);
    CHECK(executor->submit(&Adder::plus, Adder{6}, 2).result() == 8);
    CHECK(executor->submit([](int x, int y) { return x * y; }, 4, 5).result() == 20);
    CHECK(executor->submit(delayed(add)(4, 5)).result() == 9);
    const Future<void> nothing = executor->submit([] {});
    nothing.result();
    CHECK(nothing.exception() == nullptr);
    const std::string text(100000, 'x');
    CHECK(executor->submit([](const std::string& t) { return t + t; }, text).result().size() ==
          200000);
    const auto moved = executor->submit([](const std::unique_ptr<int>& x) { return *x; },
                                        std::make_unique<int>(6));
    CHECK(moved.result() == 6);
    const bool here = executor->submit(own_pid).result() == own_pid();
    CHECK(here == (on == On::threads));
  });
}

TEST_CASE("errors arrive as themselves") {
  for_each_backend([](On on) {
    const auto executor = make_executor(on, {.max_workers = 2});
    const auto bad = executor->submit(fail_at, 4, 4);
    CHECK_THROWS_WITH_AS(bad.result(), "number 4", std::out_of_range);
    CHECK(is<std::out_of_range>(bad.exception()));
    CHECK(bad.done());
    CHECK_FALSE(bad.cancelled());
    CHECK(executor->submit(fail_at, 3, 4).result() == 3);
  });
}

TEST_CASE("all results are right whoever submits, and however many") {
  for_each_backend_beside_threads([](On on) {
    const auto executor = make_executor(on, {.max_workers = 2});
    std::atomic<int> wrong{0};
    {
      std::vector<std::jthread> threads;
      for (int t = 0; t < 10; ++t) {
        threads.emplace_back([&, t] {
          std::vector<Future<int>> calls;
          for (int i = 0; i < 300; ++i) calls.push_back(executor->submit(add, 1000 * t, i));
          for (int i = 0; i < 300; ++i) {
            if (calls[static_cast<std::size_t>(i)].result() != 1000 * t + i) ++wrong;
          }
        });
      }
    }
    CHECK(wrong == 0);
  });
}

TEST_CASE("calls block the signals that the program's thread does, whichever thread begins them") {
  const auto blocked = [] {
    sigset_t now;
    ::pthread_sigmask(SIG_SETMASK, nullptr, &now);
    return ::sigismember(&now, SIGUSR1) * 2 + ::sigismember(&now, SIGTERM);
  };
  sigset_t mine;
  ::sigemptyset(&mine);
  ::sigaddset(&mine, SIGUSR1);
  ::pthread_sigmask(SIG_BLOCK, &mine, nullptr);
  for_each_backend([&](On on) {
    const auto executor = make_executor(on, {.max_workers = 1});
    const auto first = executor->submit(blocked);
    // Nobody waits for it: a thread of hoist's own sees to it.
    CHECK(support::within(20s, [&] { return first.done(); }));
    if (on != On::spawn) CHECK(first.result() == 2);
    if (on == On::spawn) CHECK(first.result() % 2 == 0);
  });
  ::pthread_sigmask(SIG_UNBLOCK, &mine, nullptr);
}

TEST_CASE("one call after the other, as each is waited for") {
  for_each_backend([](On on) {
    const auto executor = make_executor(on, {.max_workers = 2});
    int x = 0;
    for (int i = 0; i < 100; ++i) x = executor->submit(add, x, 1).result();
    CHECK(x == 100);
  });
}

TEST_CASE("a short call is not kept waiting by a long one that was submitted before") {
  for_each_backend([](On on) {
    const support::TempDir dir;
    const auto executor = make_executor(on, {.max_workers = 2});
    const std::string end = dir / "end";
    const auto slow = executor->submit(note_and_wait, (dir / "mark").string(), end);
    REQUIRE(begun(dir / "mark"));
    const auto quick = executor->submit(square, 3);
    CHECK(quick.wait(20s));
    CHECK_FALSE(slow.done());
    for (int i = 0; i < 5; ++i) CHECK(executor->submit(square, i).wait(20s));
    support::spill(end, "x");
    CHECK(slow.result() == 1);
    CHECK(quick.result() == 9);
  });
}

TEST_CASE("calls begin, and end, without anybody who waits") {
  for_each_backend([](On on) {
    const support::TempDir dir;
    const auto executor = make_executor(on, {.max_workers = 1});
    const auto first = executor->submit(sleep_ms, 1);
    const auto second = executor->submit(note_and_wait, (dir / "a").string(), "/");
    const auto third = executor->submit(note_and_wait, (dir / "b").string(), "/");
    CHECK(begun(dir / "b"));
    CHECK(support::within(20s, [&] { return first.done() && second.done() && third.done(); }));
  });
}

TEST_CASE("calls of dropped futures are made all the same") {
  for_each_backend([](On on) {
    const support::TempDir dir;
    {
      const auto executor = make_executor(on, {.max_workers = 2});
      for (int i = 0; i < 10; ++i) {
        executor->submit(note_and_wait, (dir / std::to_string(i)).string(), "/");
      }
    }
    CHECK(count_marks(dir.path()) == 10);
  });
}

TEST_CASE("more workers than cores work at the same time") {
  for_each_backend([](On on) {
    const support::TempDir dir;
    const auto executor = make_executor(on, {.max_workers = 8});
    std::vector<Future<int>> calls;
    const std::string end = dir / "end";
    for (int i = 0; i < 8; ++i) {
      calls.push_back(executor->submit(note_and_wait, (dir / std::to_string(i)).string(), end));
    }
    CHECK(support::within(30s, [&] { return count_marks(dir.path()) == 8; }));
    support::spill(end, "x");
    for (const auto& call : calls) CHECK(call.result() == 1);
  });
}

TEST_CASE("arguments and results are not kept after the call and the last handle") {
  for_each_backend([](On on) {
    const int before = Counted::alive;
    const auto executor = make_executor(on, {.max_workers = 2});
    {
      std::vector<Future<Counted>> calls;
      for (int i = 0; i < 30; ++i) calls.push_back(executor->submit(twice, Counted(i)));
      for (int i = 0; i < 30; ++i) {
        CHECK(calls[static_cast<std::size_t>(i)].result().value == 2 * i);
      }
      // The results only.
      CHECK(support::within(10s, [&] { return Counted::alive == before + 30; }));
      auto failing = executor->submit([](const Counted&) -> int { throw std::runtime_error("x"); },
                                      Counted(1));
      CHECK_THROWS(failing.result());
      CHECK(support::within(10s, [&] { return Counted::alive == before + 30; }));
    }
    CHECK(support::within(10s, [&] { return Counted::alive == before; }));
    for (const Counted& result : executor->map(std::vector<Counted>(20), twice)) {
      CHECK(result.value == 0);
    }
    CHECK(support::within(10s, [&] { return Counted::alive == before; }));
    executor->submit(twice, Counted(1));
    executor->shutdown();
    CHECK(support::within(10s, [&] { return Counted::alive == before; }));
  });
}

TEST_CASE("a queued call is cancelled at once, a running one is not") {
  for_each_backend([](On on) {
    const support::TempDir dir;
    const auto executor = make_executor(on, {.max_workers = 1});
    const std::string end = dir / "end";
    const auto runs = executor->submit(note_and_wait, (dir / "mark").string(), end);
    REQUIRE(begun(dir / "mark"));
    std::vector<Future<int>> queued;
    for (int i = 0; i < 10; ++i) {
      queued.push_back(executor->submit(note_and_wait, (dir / std::to_string(i)).string(), "/"));
    }
    // A call on its way to a worker process is counted as running: the later ones are not.
    CHECK(runs.running());
    CHECK_FALSE(runs.cancel());
    const Stopwatch watch;
    for (std::size_t i = 5; i < 10; ++i) CHECK(queued[i].cancel());
    CHECK(watch.seconds() < 5);
    for (std::size_t i = 5; i < 10; ++i) {
      CHECK(queued[i].cancelled());
      CHECK(queued[i].done());
      CHECK_THROWS_AS(queued[i].result(), Cancelled);
    }
    CHECK_FALSE(runs.done());
    support::spill(end, "x");
    CHECK(runs.result() == 1);
    CHECK_FALSE(runs.cancel());
    for (std::size_t i = 0; i < 5; ++i) CHECK(queued[i].result() == 1);
    executor->shutdown();
    for (std::size_t i = 5; i < 10; ++i) {
      CHECK_FALSE(std::filesystem::exists(dir / std::to_string(i)));
    }
  });
}

TEST_CASE("cancelling races with the call: it is either cancelled or has its result") {
  for_each_backend([](On on) {
    const auto executor = make_executor(on, {.max_workers = 2});
    const int rounds = on == On::threads ? 1000 : on == On::spawn ? 1000 : 100;
    int cancelled = 0;
    for (int round = 0; round < rounds; ++round) {
      const auto one = executor->submit(square, round);
      const auto two = executor->submit(square, round + 1);
      if (round % 3 == 1) std::this_thread::yield();
      if (round % 3 == 2) std::this_thread::sleep_for(std::chrono::microseconds(round % 100));
      const bool was = two.cancel();
      cancelled += was ? 1 : 0;
      CHECK(one.result() == round * round);
      CHECK(was == two.cancelled());
      if (!was) CHECK(two.result() == (round + 1) * (round + 1));
    }
    MESSAGE(name_of(on) << ": cancelled " << cancelled << " of " << rounds);
    CHECK(executor->submit(square, 5).result() == 25);
  });
}

TEST_CASE("submit and cancel just before the shutdown is no hang") {
  for_each_backend([](On on) {
    for (int round = 0; round < (on == On::threads ? 300 : 30); ++round) {
      const auto executor = make_executor(on, {.max_workers = 2});
      const auto call = executor->submit(square, 3);
      const bool was = call.cancel();
      executor->shutdown();
      CHECK(call.done());
      CHECK(was == call.cancelled());
    }
  });
}

TEST_CASE("a call that runs is cancelled where that may kill its worker") {
  for_each_process_backend([](On on) {
    const support::TempDir dir;
    const auto executor = make_executor(on, {.max_workers = 2, .kill_on_cancel = true});
    const std::string end = dir / "end";
    const auto victim = executor->submit(note_and_wait, (dir / "mark").string(), end);
    const auto other = executor->submit(note_and_wait, (dir / "other").string(), end);
    REQUIRE(begun(dir / "mark"));
    REQUIRE(begun(dir / "other"));
    const Stopwatch watch;
    CHECK(victim.cancel());
    CHECK(watch.seconds() < 10);
    CHECK(victim.cancelled());
    CHECK_THROWS_WITH_AS(victim.result(), doctest::Contains("cancelled"), Cancelled);
    const int pid = support::noted_pids(dir / "mark").at(0);
    CHECK(support::within(10s, [&] { return support::is_gone(pid); }));
    CHECK(executor->submit(square, 4).result(30s) == 16);
    CHECK_FALSE(other.done());
    support::spill(end, "x");
    CHECK(other.result() == 1);
    CHECK_FALSE(other.cancel());
  });
}

TEST_CASE("calls that run are cancelled at any moment, and the others come to their end") {
  for_each_process_backend([](On on) {
    const auto executor = make_executor(on, {.max_workers = 2, .kill_on_cancel = true});
    for (int round = 0; round < 15; ++round) {
      std::vector<Future<int>> calls;
      for (int i = 0; i < 4; ++i) calls.push_back(executor->submit(sleep_ms, 5));
      std::this_thread::sleep_for(std::chrono::milliseconds(round % 8));
      const bool was = calls[1].cancel();
      for (std::size_t i = 0; i < 4; ++i) {
        if (i != 1) CHECK(calls[i].result(30s) == 5);
      }
      CHECK(was == calls[1].cancelled());
      if (!was) CHECK(calls[1].result(30s) == 5);
    }
  });
}

TEST_CASE("who is cancelled as it ends takes none of the others with it") {
  for_each_process_backend([](On on) {
    const auto executor = make_executor(on, {.max_workers = 1, .kill_on_cancel = true});
    for (int round = 0; round < 400; ++round) {
      const auto first = executor->submit(spin, 300us);
      const auto second = executor->submit(spin, 200us);
      spin(200us + round % 150 * 1us);
      first.cancel();
      CHECK(second.result(30s) == 200);
    }
  });
}

TEST_CASE("an executor that was shut down takes no more calls, and has finished its own") {
  for_each_backend([](On on) {
    const auto executor = make_executor(on, {.max_workers = 2});
    std::vector<Future<int>> calls;
    for (int i = 0; i < 50; ++i) calls.push_back(executor->submit(square, i));
    executor->shutdown();
    for (int i = 0; i < 50; ++i) {
      CHECK(calls[static_cast<std::size_t>(i)].done());
      CHECK(calls[static_cast<std::size_t>(i)].result() == i * i);
    }
    CHECK_THROWS_WITH_AS(executor->submit(square, 1), doctest::Contains("shut down"), BadArgument);
    CHECK_THROWS_AS(executor->map(std::vector{1}, square), BadArgument);
    executor->shutdown();
    executor->shutdown({.wait = false});
    executor->shutdown({.cancel_futures = true});
    executor->terminate_workers();
    const auto unused = make_executor(on);
    unused->shutdown();
    CHECK_THROWS_AS(unused->submit(square, 1), BadArgument);
  });
}

TEST_CASE("a shutdown that doesn't wait returns at once, and the calls are finished") {
  for_each_backend([](On on) {
    const support::TempDir dir;
    const std::string end = dir / "end";
    const auto executor = make_executor(on, {.max_workers = 1});
    const auto slow = executor->submit(note_and_wait, (dir / "mark").string(), end);
    std::vector<Future<int>> calls;
    for (int i = 0; i < 200; ++i) calls.push_back(executor->submit(square, i));
    const Stopwatch watch;
    executor->shutdown({.wait = false});
    CHECK(watch.seconds() < 5);
    CHECK_FALSE(slow.done());
    CHECK_THROWS_AS(executor->submit(square, 1), BadArgument);
    support::spill(end, "x");
    CHECK(slow.result() == 1);
    // Nobody waits for these.
    CHECK(support::within(30s, [&] {
      return std::ranges::all_of(calls, [](const auto& call) { return call.done(); });
    }));
    for (int i = 0; i < 200; ++i) CHECK(calls[static_cast<std::size_t>(i)].result() == i * i);
    executor->shutdown();
  });
}

TEST_CASE("futures outlive their executor, which is dropped without being waited for") {
  for_each_backend([](On on) {
    std::vector<Future<int>> calls;
    {
      const auto executor = make_executor(on, {.max_workers = 2});
      for (int i = 0; i < 20; ++i) calls.push_back(executor->submit(sleep_ms, 2 + i % 3));
      executor->shutdown({.wait = false});
    }
    for (int i = 0; i < 20; ++i) {
      CHECK(calls[static_cast<std::size_t>(i)].result(30s) == 2 + i % 3);
    }
  });
}

TEST_CASE("a shutdown may cancel what has not begun") {
  for_each_backend([](On on) {
    const support::TempDir dir;
    const std::string end = dir / "end";
    const auto executor = make_executor(on, {.max_workers = 2});
    std::vector<Future<int>> calls;
    for (int i = 0; i < 50; ++i) {
      calls.push_back(executor->submit(note_and_wait, (dir / std::to_string(i)).string(), end));
    }
    REQUIRE(begun(dir / "0"));
    const Stopwatch watch;
    executor->shutdown({.wait = false, .cancel_futures = true});
    CHECK(watch.seconds() < 5);
    support::spill(end, "x");
    executor->shutdown();
    std::size_t cancelled = 0;
    for (std::size_t i = 0; i < 50; ++i) {
      CHECK(calls[i].done());
      cancelled += calls[i].cancelled() ? 1 : 0;
      CHECK(calls[i].cancelled() != std::filesystem::exists(dir / std::to_string(i)));
      if (!calls[i].cancelled()) CHECK(calls[i].result() == 1);
    }
    CHECK(cancelled >= 20);
    CHECK(cancelled < 50);
  });
}

TEST_CASE("several threads shut an executor down while others submit") {
  for_each_backend_beside_threads([](On on) {
    for (int round = 0; round < (on == On::threads ? 50 : 5); ++round) {
      const auto executor = make_executor(on, {.max_workers = 2});
      std::mutex mutex;
      std::vector<Future<int>> calls;
      {
        std::latch start(6);
        std::vector<std::jthread> threads;
        for (int t = 0; t < 3; ++t) {
          threads.emplace_back([&, t] {
            start.arrive_and_wait();
            try {
              for (int i = 0; i < 200; ++i) {
                auto call = executor->submit(square, i);
                const std::lock_guard lock(mutex);
                calls.push_back(std::move(call));
              }
            } catch (const BadArgument&) {
            }
            executor->shutdown({.wait = t != 1});
          });
          threads.emplace_back([&, t] {
            start.arrive_and_wait();
            executor->shutdown({.wait = t != 2, .cancel_futures = t == 0});
          });
        }
      }
      executor->shutdown();
      for (const auto& call : calls) {
        CHECK(call.done());
        CHECK((call.cancelled() || call.exception() == nullptr));
      }
      CHECK_THROWS_AS(executor->submit(square, 1), BadArgument);
    }
  });
}

TEST_CASE("workers are ended at once, with 100 calls of one second in the queue") {
  for_each_backend([](On on) {
    for (const bool kill : {false, true}) {
      const auto executor = make_executor(on, {.max_workers = 2});
      std::vector<Future<int>> calls;
      for (int i = 0; i < 100; ++i) calls.push_back(executor->submit(sleep_ms, 1000));
      std::this_thread::sleep_for(100ms);
      const Stopwatch watch;
      if (kill) {
        executor->kill_workers();
      } else {
        executor->terminate_workers();
      }
      CHECK(watch.seconds() < 5);
      std::size_t cancelled = 0;
      for (const auto& call : calls) {
        CHECK(call.done());
        cancelled += call.cancelled() ? 1 : 0;
      }
      CHECK(cancelled >= (on == On::threads ? 98 : 100));
      CHECK_THROWS_WITH_AS(calls.back().result(),
                           doctest::Contains(kill ? "kill_workers" : "terminate_workers"),
                           Cancelled);
      CHECK_THROWS_AS(executor->submit(square, 1), BadArgument);
      executor->shutdown();
    }
  });
}

TEST_CASE("calls on threads see that their executor is ended") {
  const HardLimit limit;
  ThreadPoolExecutor executor({.max_workers = 2});
  const support::TempDir dir;
  const auto call = executor.submit(note_and_wait, (dir / "mark").string(), "no such file");
  REQUIRE(begun(dir / "mark"));
  const Stopwatch watch;
  executor.terminate_workers();
  CHECK(watch.seconds() < 10);
  CHECK(call.done());
}

namespace {
/// Has an executor of its own, whose workers leave their ids.
int run_nested(const std::string& directory) {
  ProcessPoolExecutor inner({.max_workers = 2});
  std::vector<Future<int>> calls;
  for (const char* name : {"inner0", "inner1"}) {
    calls.push_back(inner.submit(note_and_wait, directory + "/" + name, directory + "/end"));
  }
  support::note_pids(directory + "/outer", {own_pid()});
  return calls[0].result() + calls[1].result();
}
}  // namespace

TEST_CASE("the end of workers is that of the executors in them") {
  for_each_process_backend([](On on) {
    const support::TempDir dir;
    const auto executor = make_executor(on, {.max_workers = 1});
    const auto call = executor->submit(run_nested, dir.path().string());
    for (const char* name : {"outer", "inner0", "inner1"}) REQUIRE(begun(dir / name));
    const Stopwatch watch;
    executor->kill_workers();
    CHECK(watch.seconds() < 5);
    CHECK_THROWS_AS(call.result(), Cancelled);
    for (const char* name : {"outer", "inner0", "inner1"}) {
      const int pid = support::noted_pids(dir / name).at(0);
      CHECK(support::within(5s, [&] { return support::is_gone(pid); }));
    }
  });
}

TEST_CASE("map gives the results in order, having submitted all at once") {
  for_each_backend([](On on) {
    const support::TempDir dir;
    const auto executor = make_executor(on, {.max_workers = 2});
    std::vector<int> numbers(200);
    std::iota(numbers.begin(), numbers.end(), 0);
    for (const std::size_t chunksize : {1U, 7U, 1000U}) {
      for (const std::size_t buffersize : {0U, 1U, 20U}) {
        int expected = 0;
        for (const int x :
             executor->map(numbers, square, {.chunksize = chunksize, .buffersize = buffersize})) {
          CHECK(x == expected * expected);
          ++expected;
        }
        CHECK(expected == 200);
      }
    }
    for (const int x : executor->map(std::vector<int>{}, square)) CHECK(x == -1);
    {
      const auto later = executor->map(std::vector{0, 1, 2, 3}, Spill{dir.path().string()});
      CHECK(support::within(30s, [&] { return count_marks(dir.path()) == 4; }));
    }
    CHECK_THROWS_AS(executor->map(numbers, square, {.chunksize = 0}), BadArgument);
  });
}

TEST_CASE("map throws an exception at its place, and then nothing more comes") {
  for_each_backend([](On on) {
    const auto executor = make_executor(on, {.max_workers = 2});
    std::vector<int> seen;
    auto results = executor->map(std::views::iota(0, 20), [](int x) { return fail_at(x, 5); });
    const auto loop = [&] {
      for (const int x : results) seen.push_back(x);
    };
    CHECK_THROWS_WITH_AS(loop(), "number 5", std::out_of_range);
    CHECK(seen == std::vector{0, 1, 2, 3, 4});
    CHECK(executor->submit(square, 3).result() == 9);
  });
}

TEST_CASE("map reads an endless range as results are taken") {
  for_each_backend([](On on) {
    const auto executor = make_executor(on, {.max_workers = 2});
    int read = 0;
    auto range = std::views::iota(0) | std::views::transform([&](int x) {
                   read = std::max(read, x + 1);
                   return x;
                 });
    int expected = 0;
    for (const int x : executor->map(range, square, {.buffersize = 10})) {
      CHECK(x == expected * expected);
      CHECK(read <= expected + 11);
      if (++expected == 100) break;
    }
    CHECK(expected == 100);
  });
}

TEST_CASE("a range that throws makes map throw, or the increment after the results before") {
  for_each_backend([](On on) {
    const auto executor = make_executor(on, {.max_workers = 2});
    auto range = std::views::iota(0, 100) | std::views::transform([](int x) {
                   if (x == 10) throw std::domain_error("unreadable");
                   return x;
                 });
    CHECK_THROWS_AS(executor->map(range, square), std::domain_error);
    for (const std::size_t chunksize : {1U, 4U}) {
      std::vector<int> seen;
      const auto loop = [&] {
        for (const int x :
             executor->map(range, square, {.chunksize = chunksize, .buffersize = 30})) {
          seen.push_back(x);
        }
      };
      CHECK_THROWS_WITH_AS(loop(), "unreadable", std::domain_error);
      CHECK(seen.size() >= 8);
      CHECK(seen.size() <= 10);
    }
  });
}

TEST_CASE("map's time limit counts from its call, and cancels what has not begun") {
  for_each_backend([](On on) {
    const support::TempDir dir;
    const auto executor = make_executor(on, {.max_workers = 1});
    const std::string end = dir / "end";
    const Stopwatch watch;
    auto results = executor->map(std::views::iota(0, 20), NoteAndWait{dir.path().string()},
                                 {.timeout = 500ms});
    int seen = 0;
    const auto loop = [&] {
      for (const int x : results) seen += x;
    };
    CHECK_THROWS_AS(loop(), TimedOut);
    CHECK(watch.seconds() >= 0.5);
    CHECK(seen == 0);
    support::spill(end, "x");
    executor->shutdown();
    CHECK(count_marks(dir.path()) < 12);
    CHECK_FALSE(std::filesystem::exists(dir / "19"));
  });
}

TEST_CASE("an abandoned map cancels what has not begun") {
  for_each_backend([](On on) {
    const support::TempDir dir;
    const auto executor = make_executor(on, {.max_workers = 1});
    const std::string end = dir / "end";
    {
      const auto results = executor->map(std::views::iota(0, 30), NoteAndWait{dir.path().string()});
      REQUIRE(begun(dir / "0"));
    }
    support::spill(end, "x");
    executor->shutdown();
    CHECK_FALSE(std::filesystem::exists(dir / "29"));
    CHECK(count_marks(dir.path()) < 20);
  });
}

TEST_CASE("the initializer's state is there in all calls") {
  for_each_backend([](On on) {
    const auto executor = make_executor(on, {.max_workers = 2, .initializer = {make_table, 100}});
    for (int i = 0; i < 20; ++i) CHECK(executor->submit(look_up, i).result() == 100 + i);
    int expected = 100;
    for (const int x : executor->map(std::views::iota(0, 20), look_up)) CHECK(x == expected++);
    const auto other = make_executor(on, {.max_workers = 1, .initializer = {make_table, 200}});
    CHECK(other->submit(look_up, 1).result() == 201);
    const auto none = make_executor(on, {.max_workers = 1});
    CHECK_THROWS_AS(none->submit(look_up, 1).result(), BadArgument);
  });
}

TEST_CASE("an initializer that throws fails the call that the worker came for") {
  for_each_backend([](On on) {
    const support::TempDir dir;
    const std::string mark = dir / "mark";
    const auto executor =
        make_executor(on, {.max_workers = 1, .initializer = {refuse_to_start, mark}});
    for (int i = 0; i < 3; ++i) {
      CHECK_THROWS_WITH_AS(executor->submit(square, 3).result(), doctest::Contains("no table"),
                           std::length_error);
    }
    std::vector<Future<int>> queued;
    for (int i = 0; i < 10; ++i) queued.push_back(executor->submit(square, i));
    for (const auto& call : queued) CHECK(is<std::length_error>(call.exception()));
    support::spill(mark, "x");
    for (int i = 0; i < 5; ++i) CHECK(executor->submit(square, i).result() == i * i);
  });
}

TEST_CASE("workers are replaced after so many calls") {
  const HardLimit limit;
  for (const std::size_t most : {1U, 3U}) {
    ProcessPoolExecutor executor({.max_workers = 1, .max_tasks = most});
    std::map<int, std::size_t> calls_of;
    for (int i = 0; i < 9; ++i) {
      const auto [squared, pid] = executor.submit(squared_by, i).result();
      CHECK(squared == i * i);
      ++calls_of[pid];
    }
    CHECK(calls_of.size() == 9 / most);
    for (const auto& [pid, count] : calls_of) {
      CHECK(count == most);
      CHECK(pid != own_pid());
    }
  }
  for (int round = 0; round < 3; ++round) {
    std::vector<Future<int>> calls;
    {
      ProcessPoolExecutor executor({.max_workers = 3, .max_tasks = 1});
      for (int i = 0; i < 6; ++i) calls.push_back(executor.submit(square, i));
      executor.shutdown({.wait = round == 0});
    }
    for (int i = 0; i < 6; ++i) {
      CHECK(calls[static_cast<std::size_t>(i)].result(30s) == i * i);
    }
  }
}

TEST_CASE("workers see the variables that the executor gives them, and the program's") {
  const HardLimit limit;
  ::setenv("EXECUTOR_TEST_PROGRAM", "here", 1);
  ProcessPoolExecutor executor({.max_workers = 1, .env = {{"EXECUTOR_TEST", "there"}}});
  CHECK(executor.submit(variable, "EXECUTOR_TEST").result() == "there");
  CHECK(executor.submit(variable, "EXECUTOR_TEST_PROGRAM").result() == "here");
  ProcessPoolExecutor other({.max_workers = 1, .env = {{"EXECUTOR_TEST", "elsewhere"}}});
  CHECK(other.submit(variable, "EXECUTOR_TEST").result() == "elsewhere");
  CHECK(executor.submit(variable, "EXECUTOR_TEST").result() == "there");
  CHECK(variable("EXECUTOR_TEST").empty());
  ::unsetenv("EXECUTOR_TEST_PROGRAM");
}

TEST_CASE("workers leave when they are idle, and the next call has new ones") {
  const HardLimit limit;
  ProcessPoolExecutor executor(
      {.max_workers = 2, .env = {{"EXECUTOR_IDLE", "1"}}, .idle_timeout = 50ms});
  std::set<int> pids;
  for (int round = 0; round < 5; ++round) {
    std::vector<Future<std::pair<int, int>>> calls;
    for (int i = 0; i < 4; ++i) calls.push_back(executor.submit(squared_by, i));
    std::set<int> here;
    for (int i = 0; i < 4; ++i) {
      const auto [squared, pid] = calls[static_cast<std::size_t>(i)].result(30s);
      CHECK(squared == i * i);
      here.insert(pid);
    }
    for (const int pid : here) {
      CHECK(support::within(20s, [&] { return support::is_gone(pid); }));
      pids.insert(pid);
    }
  }
  CHECK(pids.size() >= 5);
}

TEST_CASE("calls submitted at the moment at which idle workers leave are made") {
  const HardLimit limit;
  ProcessPoolExecutor executor(
      {.max_workers = 1, .env = {{"EXECUTOR_IDLE", "2"}}, .idle_timeout = 10ms});
  for (int i = 0; i < 40; ++i) {
    CHECK(executor.submit(square, i).result(30s) == i * i);
    std::this_thread::sleep_for(std::chrono::microseconds(8000 + 100 * i));
  }
}

TEST_CASE("a call that takes too long fails, and its process is killed") {
  for_each_process_backend([](On on) {
    const support::TempDir dir;
    const auto executor = make_executor(on, {.max_workers = 2, .task_timeout = 300ms});
    const auto slow =
        executor->submit(note_and_wait, (dir / "mark").string(), std::string("no such file"));
    std::vector<Future<int>> quick;
    for (int i = 0; i < 10; ++i) quick.push_back(executor->submit(square, i));
    CHECK_THROWS_AS(slow.result(30s), TimedOut);
    for (int i = 0; i < 10; ++i) CHECK(quick[static_cast<std::size_t>(i)].result(30s) == i * i);
    const int pid = support::noted_pids(dir / "mark").at(0);
    CHECK(support::within(10s, [&] { return support::is_gone(pid); }));
    CHECK(executor->submit(square, 3).result(30s) == 9);
  });
}

// Nobody may be waiting, and nothing else happen.
TEST_CASE("a call that takes too long is ended although nobody waits for it") {
  for_each_process_backend([](On on) {
    const support::TempDir dir;
    const auto executor = make_executor(on, {.max_workers = 1, .task_timeout = 300ms});
    const auto slow =
        executor->submit(note_and_wait, (dir / "mark").string(), std::string("no such file"));
    REQUIRE(begun(dir / "mark"));
    const int pid = support::noted_pids(dir / "mark").at(0);
    CHECK(support::within(20s, [&] { return support::is_gone(pid) && slow.done(); }));
  });
}

TEST_CASE("a call on a thread that took too long has failed") {
  const HardLimit limit;
  ThreadPoolExecutor executor({.max_workers = 1, .task_timeout = 100ms});
  CHECK_THROWS_AS(executor.submit(sleep_ms, 400).result(30s), TimedOut);
  CHECK(executor.submit(square, 3).result() == 9);
}

TEST_CASE("failed calls are made again as often as allowed") {
  for_each_backend([](On on) {
    const support::TempDir dir;
    const auto executor = make_executor(on, {.max_workers = 2, .retries = 1});
    std::vector<Future<int>> calls;
    for (int i = 0; i < 10; ++i) {
      calls.push_back(executor->submit(fail_once, (dir / std::to_string(i)).string(), i));
    }
    for (int i = 0; i < 10; ++i) CHECK(calls[static_cast<std::size_t>(i)].result(30s) == i);
    CHECK_THROWS_AS(executor->submit(fail_at, 1, 1).result(), std::out_of_range);
    const auto never = make_executor(on, {.max_workers = 1});
    CHECK_THROWS_WITH(never->submit(fail_once, (dir / "x").string(), 1).result(), "first time");
  });
}

TEST_CASE("options that can't be met are refused, with a reason") {
  CHECK_THROWS_WITH_AS(ThreadPoolExecutor({.max_workers = 0}),
                       doctest::Contains("max_workers is 0"), BadArgument);
  CHECK_THROWS_WITH_AS(ProcessPoolExecutor({.max_workers = 0}),
                       doctest::Contains("max_workers is 0"), BadArgument);
  CHECK_THROWS_WITH_AS(ThreadPoolExecutor({.max_tasks = 1}), doctest::Contains("max_tasks"),
                       BadArgument);
  CHECK_THROWS_AS(ThreadPoolExecutor({.start_method = StartMethod::fork}), BadArgument);
  CHECK_THROWS_AS(ThreadPoolExecutor({.env = {{"A", "b"}}}), BadArgument);
  CHECK_THROWS_AS(ThreadPoolExecutor({.kill_on_cancel = true}), BadArgument);
  CHECK_THROWS_WITH_AS(ProcessPoolExecutor({.start_method = StartMethod::forkserver}),
                       doctest::Contains("start_method"), BadArgument);
  CHECK_THROWS_WITH_AS(ProcessPoolExecutor({.max_tasks = 1, .start_method = StartMethod::fork}),
                       doctest::Contains("max_tasks"), BadArgument);
  CHECK_THROWS_AS(ProcessPoolExecutor({.env = {{"A=", "b"}}}), BadArgument);
  CHECK_THROWS_AS(ProcessPoolExecutor({.task_timeout = -1}), BadArgument);
  CHECK_THROWS_AS(ProcessPoolExecutor({.idle_timeout = -1ms}), BadArgument);
  CHECK_THROWS_AS(get_reusable_executor({.max_workers = 0}), BadArgument);
  CHECK_THROWS_AS(BackendExecutor("no such backend"), BadArgument);
  CHECK_THROWS_WITH_AS(BackendExecutor("threads", {.timeout = 1}), doctest::Contains("timeout"),
                       BadArgument);
  CHECK(ProcessPoolExecutor({.max_workers = -1}).max_workers() >= 1);
  CHECK(ThreadPoolExecutor().max_workers() >= 5);
}

TEST_CASE("an executor works on any backend") {
  const HardLimit limit;
  for (const std::string backend : {"sequential", "threads", "fork", "spawn"}) {
    CAPTURE(backend);
    BackendExecutor executor(backend, {.n_jobs = 2, .retries = 1});
    std::vector<Future<int>> calls;
    for (int i = 0; i < 20; ++i) calls.push_back(executor.submit(square, i));
    for (int i = 0; i < 20; ++i) CHECK(calls[static_cast<std::size_t>(i)].result() == i * i);
    CHECK_THROWS_AS(executor.submit(fail_at, 1, 1).result(), std::out_of_range);
    int expected = 0;
    for (const int x : executor.map(std::views::iota(0, 10), square)) {
      CHECK(x == expected * expected);
      ++expected;
    }
    executor.shutdown();
    CHECK_THROWS_AS(executor.submit(square, 1), BadArgument);
  }
}

TEST_CASE("the reusable executor keeps its workers while the options are the same") {
  const HardLimit limit;
  ProcessPoolExecutor& executor = get_reusable_executor({.max_workers = 1});
  const int pid = executor.submit(own_pid).result();
  for (int i = 0; i < 5; ++i) {
    CHECK(&get_reusable_executor({.max_workers = 1}) == &executor);
    CHECK(executor.submit(own_pid).result() == pid);
  }
  const auto before = executor.submit(sleep_ms, 300);
  ProcessPoolExecutor& changed =
      get_reusable_executor({.max_workers = 2, .env = {{"EXECUTOR_TEST", "2"}}});
  CHECK(&changed == &executor);
  CHECK(changed.max_workers() == 2);
  CHECK(changed.submit(variable, "EXECUTOR_TEST").result() == "2");
  CHECK(before.result() == 300);
  executor.shutdown();
  CHECK_THROWS_AS(executor.submit(square, 1), BadArgument);
  CHECK(get_reusable_executor({.max_workers = 1}).submit(square, 6).result() == 36);
  get_reusable_executor({.max_workers = 1}).terminate_workers();
  CHECK(get_reusable_executor({.max_workers = 1}).submit(square, 7).result() == 49);
}

TEST_CASE("ten threads share the reusable executor, with constant or varying options") {
  const HardLimit limit(120);
  for (const bool varying : {false, true}) {
    for (const bool broken : {false, true}) {
      CAPTURE(varying);
      CAPTURE(broken);
      if (broken) {
        CHECK_THROWS_AS(get_reusable_executor({.max_workers = 1}).submit(std::abort).result(),
                        WorkerDied);
      }
      std::atomic<int> wrong{0};
      std::mutex mutex;
      std::string first_error;
      {
        std::vector<std::jthread> threads;
        for (int t = 0; t < 10; ++t) {
          threads.emplace_back([&, t] {
            try {
              for (int i = 0; i < 6; ++i) {
                const int workers = varying ? 1 + (t + i) % 3 : 2;
                ProcessPoolExecutor& executor = get_reusable_executor({.max_workers = workers});
                std::vector<Future<int>> calls;
                for (int k = 0; k < 10; ++k) calls.push_back(executor.submit(add, t * i, k));
                for (int k = 0; k < 10; ++k) {
                  if (calls[static_cast<std::size_t>(k)].result(60s) != t * i + k) ++wrong;
                }
              }
            } catch (...) {
              ++wrong;
              const std::lock_guard lock(mutex);
              first_error = text_of(std::current_exception());
            }
          });
        }
      }
      CAPTURE(first_error);
      CHECK(wrong == 0);
    }
  }
}

TEST_CASE("executors that start themselves without end are an error") {
  const HardLimit limit;
  CHECK_THROWS_WITH_AS(endless(0), doctest::Contains("nested"), BadArgument);
}

TEST_CASE("a thread that has submitted and waited may end while other calls run") {
  const HardLimit limit;
  for (const std::string backend : {"threads", "fork", "spawn"}) {
    CAPTURE(backend);
    BackendExecutor executor(backend, {.n_jobs = 2, .force_fork = true});
    Future<int> slow;
    std::thread([&] {
      slow = executor.submit([] {
        std::this_thread::sleep_for(300ms);
        return 7;
      });
      CHECK(executor.submit([] { return 1; }).result(30) == 1);
    }).join();
    CHECK(slow.result(30) == 7);
  }
}
