// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>
#include <hoist/error.hpp>
#include <hoist/pool.hpp>
#include <hoist/stop.hpp>
#include <hoist/worker.hpp>

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <latch>
#include <memory>
#include <ranges>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include "futures/support.hpp"
#include "support/child_program.hpp"
#include "support/temp_dir.hpp"

using namespace hoist;
using namespace std::chrono_literals;
using namespace futures;

namespace {

std::unique_ptr<Pool> make_pool(On on, PoolOptions options = {}) {
  if (!options.processes) options.processes = 2;
  if (on == On::threads) return std::make_unique<ThreadPool>(options);
  options.start_method = on == On::fork ? StartMethod::fork : StartMethod::spawn;
  return std::make_unique<Pool>(options);
}

/// Counts to 10, and throws where it is to go beyond 5.
struct BrokenCounter {
  using value_type = int;
  using difference_type = std::ptrdiff_t;
  int operator*() const { return at; }
  BrokenCounter& operator++() {
    if (at == 5) throw std::domain_error("unreadable");
    ++at;
    return *this;
  }
  void operator++(int) { ++*this; }
  bool operator==(std::default_sentinel_t) const { return at == 10; }
  int at = 0;
};

std::vector<int> first(int n) {
  std::vector<int> all(static_cast<std::size_t>(n));
  std::iota(all.begin(), all.end(), 0);
  return all;
}
std::vector<int> squares(int n) {
  std::vector<int> all;
  for (int i = 0; i < n; ++i) all.push_back(i * i);
  return all;
}

/// Leaves a mark for each element, and fails at one.
struct Mark {
  std::string directory;
  int bad = -1;
  int operator()(int x) const {
    support::spill(directory + "/" + std::to_string(x), "x");
    return fail_at(x, bad);
  }
};
void sleep_long(int ms) {
  for (int i = 0; i < ms / 10 && !stop_requested(); ++i) std::this_thread::sleep_for(10ms);
}
/// Leaves its id, and sleeps.
void note_and_sleep(const std::string& mark) {
  support::note_pids(mark, {own_pid()});
  sleep_long(60000);
}
std::string throw_much(int x) {
  if (x == 0) throw std::runtime_error(std::string(std::size_t{1} << 22, 'x'));
  return std::string(std::size_t{1} << 22, 'y');
}
int make_state(int x) { return x; }
int add_state(int x) { return worker_state<int>() + x; }

template <class R>
struct Heard {
  std::optional<R> value;
  std::exception_ptr error;
  std::thread::id thread;
  std::latch called{1};

  AsyncOptions<R> options() {
    return {.callback =
                [this](const R& result) {
                  value = result;
                  thread = std::this_thread::get_id();
                  called.count_down();
                },
            .error_callback =
                [this](const std::exception_ptr& e) {
                  error = e;
                  thread = std::this_thread::get_id();
                  called.count_down();
                }};
  }
};

}  // namespace

TEST_CASE("apply and map give what a loop would") {
  for_each_backend([](On on) {
    const auto pool = make_pool(on);
    CHECK(pool->processes() == 2);
    CHECK(pool->apply(add, 1, 2) == 3);
    CHECK_THROWS_AS(pool->apply(fail_at, 1, 1), std::out_of_range);
    pool->apply([] {});
    const auto moved = pool->apply([](int x) { return std::make_unique<int>(x); }, 4);
    CHECK(*moved == 4);
    for (const auto chunksize : std::vector<std::optional<std::size_t>>{{}, 1, 7, 1000}) {
      CHECK(pool->map(square, first(100), chunksize) == squares(100));
    }
    CHECK(pool->map(square, std::views::iota(0, 100)) == squares(100));
    CHECK(pool->map(square, first(100) | std::views::filter([](int) { return true; })) ==
          squares(100));
    CHECK(pool->map(square, std::vector<int>{}).empty());
    pool->map([](int) {}, first(10));
    const std::vector<std::tuple<int, int>> pairs{{1, 2}, {3, 4}, {5, 6}};
    CHECK(pool->starmap(add, pairs) == std::vector{3, 7, 11});
    CHECK(pool->starmap(add, std::vector<std::pair<int, int>>{{1, 1}}, 3) == std::vector{2});
    CHECK_THROWS_AS(pool->map(square, first(3), 0), BadArgument);
    CHECK(pool->map([](bool x) { return !x; }, std::vector{true, false}) ==
          std::vector<bool>{false, true});
  });
}

TEST_CASE("asynchronous calls tell when they are done, and whether they succeeded") {
  for_each_backend([](On on) {
    const support::TempDir dir;
    const auto pool = make_pool(on);
    const AsyncResult<int> sum = pool->apply_async(add, 1, 2);
    CHECK(sum.get() == 3);
    CHECK(sum.ready());
    CHECK(sum.successful());
    CHECK(sum.wait(0));
    CHECK(sum.get() == 3);
    CHECK(sum.future().done());
    const auto failing = pool->apply_async(fail_at, 1, 1);
    CHECK_THROWS_AS(failing.get(), std::out_of_range);
    CHECK(failing.ready());
    CHECK_FALSE(failing.successful());
    const auto slow = pool->apply_async(wait_for_file, (dir / "go").string());
    const Stopwatch watch;
    CHECK_THROWS_AS(slow.get(20ms), TimedOut);
    CHECK(watch.seconds() < 20);
    CHECK_FALSE(slow.wait(10ms));
    CHECK_FALSE(slow.ready());
    CHECK_THROWS_AS(static_cast<void>(slow.successful()), BadArgument);
    support::spill(dir / "go", "");
    CHECK(slow.get() == 1);
    const AsyncResult<std::vector<int>> all = pool->map_async(square, first(50), 3);
    CHECK(all.get() == squares(50));
    CHECK(pool->starmap_async(add, std::vector<std::pair<int, int>>{{1, 1}}).get() ==
          std::vector{2});
    CHECK(pool->map_async(square, std::vector<int>{}).get().empty());
    const AsyncResult<void> nothing = pool->map_async([](int) {}, first(10));
    nothing.get();
    CHECK(nothing.successful());
  });
}

TEST_CASE("callbacks hear of the result, or of the error") {
  for_each_backend([](On on) {
    const auto pool = make_pool(on);
    Heard<int> good;
    Heard<int> bad;
    Heard<std::vector<int>> all;
    Heard<std::vector<int>> broken;
    pool->apply_async(delayed(add)(1, 2), good.options());
    pool->apply_async(delayed(fail_at)(1, 1), bad.options());
    pool->map_async(square, first(10), {}, all.options());
    pool->map_async([](int x) { return fail_at(x, 5); }, first(10), {}, broken.options());
    std::latch void_called(1);
    pool->apply_async(delayed([] {})(), {.callback = [&] { void_called.count_down(); }});
    for (std::latch* latch : {&good.called, &bad.called, &all.called, &broken.called}) {
      latch->wait();
    }
    void_called.wait();
    CHECK(good.value == 3);
    CHECK(good.error == nullptr);
    CHECK(is<std::out_of_range>(bad.error));
    CHECK_FALSE(bad.value);
    CHECK(all.value == squares(10));
    CHECK(is<std::out_of_range>(broken.error));
    CHECK(std::set{good.thread, bad.thread, all.thread, broken.thread}.size() == 1);
    // A callback for the other case.
    pool->apply_async(delayed(fail_at)(1, 1), {.callback = [](int) { std::abort(); }});
    pool->apply_async(delayed(add)(1, 1),
                      {.error_callback = [](const std::exception_ptr&) { std::abort(); }});
    pool->close();
    pool->join();
  });
}

TEST_CASE("all chunks are run even after an error, of which the first is thrown") {
  for_each_backend([](On on) {
    const support::TempDir dir;
    const auto pool = make_pool(on);
    CHECK_THROWS_WITH_AS(pool->map(Mark{dir.path().string(), 0}, first(40), 2), "number 0",
                         std::out_of_range);
    // But for the rest of its chunk.
    CHECK(count_marks(dir.path()) == 39);
    const auto twice = [](int x) {
      sleep_ms(x == 3 ? 50 : 0);
      return fail_at(x, x == 3 || x == 9 ? x : -1);
    };
    CHECK_THROWS_WITH_AS(pool->map(twice, first(12), 1), "number 3", std::out_of_range);
    CHECK_THROWS_WITH_AS(pool->map_async(twice, first(12), 1).get(), "number 3", std::out_of_range);
    CHECK(pool->map(square, first(10)) == squares(10));
  });
}

TEST_CASE("large errors and results at once are no deadlock at the join") {
  for_each_backend([](On on) {
    const auto pool = make_pool(on);
    CHECK_THROWS_AS(pool->map(throw_much, first(6), 1), std::runtime_error);
    const auto all = pool->map_async(throw_much, first(6), 1);
    pool->close();
    pool->join();
    CHECK(all.ready());
    CHECK_FALSE(all.successful());
  });
}

TEST_CASE("imap gives the results in order, imap_unordered as they come") {
  for_each_backend([](On on) {
    const auto pool = make_pool(on);
    const auto numbers = first(100);
    for (const std::size_t chunksize : {1U, 7U, 1000U}) {
      std::vector<int> ordered;
      for (const int x : pool->imap(square, numbers, chunksize)) ordered.push_back(x);
      CHECK(ordered == squares(100));
      std::multiset<int> any;
      for (const int x : pool->imap_unordered(square, numbers, chunksize)) any.insert(x);
      CHECK(std::ranges::equal(any, squares(100)));
    }
    for (const int x : pool->imap(square, std::vector<int>{})) CHECK(x == -1);
    CHECK_THROWS_AS(pool->imap(square, numbers, 0), BadArgument);
    CHECK_THROWS_AS(pool->imap_unordered(square, numbers, 0), BadArgument);
    std::vector<int> order;
    for (const int x : pool->imap_unordered(sleep_ms, std::vector{400, 5})) order.push_back(x);
    CHECK(order == std::vector{5, 400});
  });
}

TEST_CASE("who waits for the next result of imap with a time limit may try again") {
  for_each_backend([](On on) {
    const auto pool = make_pool(on);
    for (const bool ordered : {true, false}) {
      CAPTURE(ordered);
      const std::vector times{300, 1};
      auto results =
          ordered ? pool->imap(sleep_ms, times, 2) : pool->imap_unordered(sleep_ms, times, 2);
      CHECK_THROWS_AS((void)results.next(20ms), TimedOut);
      CHECK_THROWS_AS((void)results.next(0ms), TimedOut);
      CHECK(results.next(60s) == 300);
      CHECK(results.next() == 1);
      CHECK(results.next(0ms) == std::nullopt);
      CHECK(results.next() == std::nullopt);
    }
    auto failing = pool->imap([](int x) { return fail_at(x, 1); }, first(5));
    CHECK(failing.next(60s) == 0);
    CHECK_THROWS_WITH_AS((void)failing.next(60s), "number 1", std::out_of_range);
    CHECK(failing.next(60s) == std::nullopt);
  });
}

TEST_CASE("imap reads endless input as results are taken") {
  for_each_backend([](On on) {
    const auto pool = make_pool(on);
    int read = 0;
    auto endless = std::views::iota(0) | std::views::transform([&](int x) {
                     read = std::max(read, x + 1);
                     return x;
                   });
    int expected = 0;
    for (const int x : pool->imap(square, endless)) {
      CHECK(x == expected * expected);
      CHECK(read <= expected + 2 + 2 * 2);
      if (++expected == 50) break;
    }
    int seen = 0;
    for (const int x : pool->imap_unordered(square, endless, 5)) {
      CHECK(x >= 0);
      if (++seen == 50) break;
    }
    CHECK(pool->apply(add, 1, 2) == 3);
  });
}

TEST_CASE("an input that throws: map throws, imap has given what came before") {
  for_each_backend([](On on) {
    const auto pool = make_pool(on);
    auto broken = std::views::iota(0, 100) | std::views::transform([](int x) {
                    if (x == 10) throw std::domain_error("unreadable");
                    return x;
                  });
    CHECK_THROWS_AS(pool->map(square, broken), std::domain_error);
    CHECK_THROWS_AS(pool->map_async(square, broken), std::domain_error);
    std::vector<int> seen;
    const auto take_all = [&](auto results) {
      for (const int x : results) seen.push_back(x);
    };
    CHECK_THROWS_WITH_AS(take_all(pool->imap(square, broken)), "unreadable", std::domain_error);
    CHECK(seen == squares(10));
    seen.clear();
    CHECK_THROWS_AS(take_all(pool->imap_unordered(square, broken)), std::domain_error);
    std::ranges::sort(seen);
    CHECK(seen == squares(10));
    CHECK(pool->map(square, first(10)) == squares(10));
  });
}

TEST_CASE("an increment that throws comes after the results of all elements before it") {
  const HardLimit limit;
  ThreadPool pool(2);
  for (const std::size_t chunksize : {1U, 2U, 4U, 100U}) {
    CAPTURE(chunksize);
    std::vector<int> seen;
    const auto loop = [&] {
      const std::ranges::subrange input(BrokenCounter{}, std::default_sentinel);
      for (const int x : pool.imap(square, input, chunksize)) seen.push_back(x);
    };
    CHECK_THROWS_WITH_AS(loop(), "unreadable", std::domain_error);
    CHECK(seen == squares(6));
  }
}

TEST_CASE("each element is read once") {
  const HardLimit limit;
  ThreadPool pool(2);
  int made = 0;
  auto counter = std::views::iota(0, 10) | std::views::transform([&](int) { return made++; });
  CHECK(pool.map(square, counter) == squares(10));
  made = 0;
  CHECK(pool.map_async(square, counter).get() == squares(10));
  made = 0;
  std::vector<int> seen;
  for (const int x : pool.imap(square, counter, 3)) seen.push_back(x);
  CHECK(seen == squares(10));
  CHECK(made == 10);
}

TEST_CASE("an element doesn't wait for the one after it to be read") {
  const HardLimit limit;
  ThreadPool pool(2);
  std::latch called(1);
  int next = 0;
  auto input = std::views::iota(0, 2) | std::views::filter([&](int x) {
                 if (x > next) {
                   next = x;
                   called.wait();
                 }
                 return true;
               });
  std::vector<int> seen;
  for (const int x : pool.imap(
           [&called](int i) {
             if (i == 0) called.count_down();
             return i;
           },
           input)) {
    seen.push_back(x);
  }
  CHECK(seen == first(2));
}

TEST_CASE("the input may be a temporary view that can't be copied") {
  const HardLimit limit;
  ThreadPool pool(2);
  const auto same = [](int x) { return x; };
  CHECK(pool.map(square, first(10) | std::views::transform(same)) == squares(10));
  CHECK(pool.map_async(square, first(10) | std::views::transform(same)).get() == squares(10));
}

TEST_CASE("results that can only be moved") {
  const HardLimit limit;
  ThreadPool pool(2);
  const auto make = [](int x) { return std::make_unique<int>(x); };
  const auto sum = [](auto&& pointers) {
    int all = 0;
    for (const auto& one : pointers) all += *one;
    return all;
  };
  CHECK(sum(pool.map(make, first(10))) == 45);
  CHECK(sum(pool.map_async(make, first(10)).get()) == 45);
  CHECK(sum(pool.imap(make, first(10))) == 45);
  CHECK(sum(pool.imap_unordered(make, first(10), 3)) == 45);
  CHECK(sum(pool.apply([&] { return pool.map(make, first(10)); })) == 45);
}

TEST_CASE("imap_unordered keeps no results that were taken") {
  const HardLimit limit;
  ThreadPool pool(2);
  auto alive = std::make_shared<int>(0);
  long most = 0;
  int seen = 0;
  for (const auto& one : pool.imap_unordered([&](int) { return alive; }, std::views::iota(0))) {
    most = std::max(most, one.use_count());
    if (++seen == 2'000) break;
  }
  CHECK(most < 100);
}

TEST_CASE("an error in imap comes at its place and cancels what has not begun") {
  for_each_backend([](On on) {
    const auto pool = make_pool(on);
    std::vector<int> seen;
    const auto loop = [&] {
      for (const int x : pool->imap([](int x) { return fail_at(x, 5); }, std::views::iota(0))) {
        seen.push_back(x);
      }
    };
    CHECK_THROWS_WITH_AS(loop(), "number 5", std::out_of_range);
    CHECK(seen == first(5));
    CHECK(pool->apply(add, 1, 2) == 3);
  });
}

TEST_CASE("a closed pool finishes its calls, takes no more, and can be joined") {
  for_each_backend([](On on) {
    const auto pool = make_pool(on);
    CHECK_THROWS_WITH_AS(pool->join(), doctest::Contains("close()"), BadArgument);
    std::vector<AsyncResult<int>> calls;
    for (int i = 0; i < 50; ++i) calls.push_back(pool->apply_async(square, i));
    pool->close();
    CHECK_THROWS_AS(pool->apply(square, 1), BadArgument);
    CHECK_THROWS_AS(pool->apply_async(square, 1), BadArgument);
    CHECK_THROWS_AS(pool->map(square, first(3)), BadArgument);
    CHECK_THROWS_AS(pool->imap(square, first(3)), BadArgument);
    pool->join();
    for (int i = 0; i < 50; ++i) {
      CHECK(calls[static_cast<std::size_t>(i)].ready());
      CHECK(calls[static_cast<std::size_t>(i)].get() == i * i);
    }
    pool->close();
    pool->join();
    pool->terminate();
    pool->join();
    const auto unused = make_pool(on);
    unused->close();
    unused->join();
  });
}

TEST_CASE("terminate ends a pool with 10,000 long calls in its queue") {
  for_each_backend([](On on) {
    const auto pool = make_pool(on);
    std::vector<AsyncResult<void>> calls;
    for (int i = 0; i < 10000; ++i) calls.push_back(pool->apply_async(sleep_long, 100000));
    std::this_thread::sleep_for(50ms);
    const Stopwatch watch;
    pool->terminate();
    pool->join();
    CHECK(watch.seconds() < 10);
    std::size_t cancelled = 0;
    for (const auto& call : calls) {
      CHECK(call.ready());
      cancelled += is<Cancelled>(call.future().exception()) ? 1 : 0;
    }
    CHECK(cancelled >= 9998);
    CHECK_THROWS_WITH_AS(calls.back().get(), doctest::Contains("Pool::terminate()"), Cancelled);
    CHECK_THROWS_AS(pool->apply(square, 1), BadArgument);
  });
}

TEST_CASE("the end of its scope terminates a pool") {
  for_each_backend([](On on) {
    const support::TempDir dir;
    std::vector<AsyncResult<void>> calls;
    const Stopwatch watch;
    {
      const auto pool = make_pool(on);
      for (int i = 0; i < 10; ++i) {
        calls.push_back(pool->apply_async(note_and_sleep, (dir / std::to_string(i)).string()));
      }
      REQUIRE(support::within(20s, [&] { return count_marks(dir.path()) == 2; }));
    }
    CHECK(watch.seconds() < 20);
    for (const auto& call : calls) CHECK(call.ready());
    CHECK_THROWS_AS(calls.back().get(), Cancelled);
    CHECK(count_marks(dir.path()) == 2);
    if (on == On::threads) return;
    for (const auto& entry : std::filesystem::directory_iterator(dir.path())) {
      const int pid = support::noted_pids(entry.path()).at(0);
      CHECK(support::within(5s, [&] { return support::is_gone(pid); }));
    }
  });
}

TEST_CASE("a call whose worker dies fails, and the pool goes on") {
  for_each_process_backend([](On on) {
    const auto pool = make_pool(on);
    const auto crash_at_6 = [](int x) {
      if (x == 6) std::raise(SIGKILL);
      return x * x;
    };
    for (int round = 0; round < 3; ++round) {
      CHECK_THROWS_AS(pool->map(crash_at_6, first(20), 2), WorkerDied);
      CHECK_THROWS_AS(pool->apply(std::abort), WorkerDied);
      CHECK(pool->map(square, first(20)) == squares(20));
    }
    const auto retrying = make_pool(on, {.retries = 1});
    CHECK_THROWS_AS(retrying->apply(crash_at_6, 6), WorkerDied);
    const auto limited = make_pool(on, {.task_timeout = 200ms});
    CHECK_THROWS_AS(limited->apply(sleep_long, 60000), TimedOut);
    CHECK(limited->apply(square, 3) == 9);
  });
}

TEST_CASE("what can't travel is an error and no hang") {
  struct Bound {
    std::shared_ptr<std::thread> thread;
  };
  const HardLimit limit;
  Pool pool(2);
  CHECK_THROWS_AS(pool.map([](const Bound&) { return 1; }, std::vector<Bound>(4)), CannotTravel);
  CHECK_THROWS_AS(pool.map([](int) { return Bound(); }, first(4)), CannotTravel);
  CHECK_THROWS_AS(pool.apply_async([](const Bound&) {}, Bound()).get(), CannotTravel);
  CHECK(pool.map(square, first(4)) == squares(4));
}

TEST_CASE("the initializer's state is there in all calls of a pool") {
  for_each_backend([](On on) {
    const auto pool = make_pool(on, {.initializer = {make_state, 100}});
    CHECK(pool->apply(add_state, 1) == 101);
    CHECK(pool->map(add_state, first(20), 3).back() == 119);
    const auto broken = make_pool(on, {.initializer = {fail_at, 1, 1}});
    CHECK_THROWS_AS(broken->apply(square, 1), std::out_of_range);
    CHECK_THROWS_AS(broken->map(square, first(10)), std::out_of_range);
  });
}

TEST_CASE("workers of a pool are replaced after so many calls, and a close comes early") {
  const HardLimit limit;
  Pool pool({.processes = 2, .max_tasks = 2});
  std::map<int, int> calls_of;
  for (const auto& [squared, pid] : pool.map(squared_by, first(12), 1)) ++calls_of[pid];
  CHECK(calls_of.size() >= 6);
  for (const auto& [pid, count] : calls_of) CHECK(count <= 2);
  for (int round = 0; round < 3; ++round) {
    Pool early({.processes = 3, .max_tasks = 1});
    std::vector<AsyncResult<int>> calls;
    for (int i = 0; i < 6; ++i) calls.push_back(early.apply_async(square, i));
    early.close();
    early.join();
    for (int i = 0; i < 6; ++i) CHECK(calls[static_cast<std::size_t>(i)].get(0) == i * i);
  }
}

TEST_CASE("pools refuse options that can't be met, with a reason") {
  CHECK_THROWS_WITH_AS(Pool(0), doctest::Contains("at least 1"), BadArgument);
  CHECK_THROWS_AS(Pool(-1), BadArgument);
  CHECK_THROWS_AS(ThreadPool(0), BadArgument);
  CHECK_THROWS_AS(Pool({.max_tasks = 1, .start_method = StartMethod::fork}), BadArgument);
  CHECK_THROWS_AS(Pool({.start_method = StartMethod::forkserver}), BadArgument);
  CHECK_THROWS_WITH_AS(ThreadPool({.max_tasks = 1}), doctest::Contains("a ThreadPool"),
                       BadArgument);
  CHECK_THROWS_AS(ThreadPool({.start_method = StartMethod::fork}), BadArgument);
  CHECK_THROWS_AS(ThreadPool({.env = {{"A", "b"}}}), BadArgument);
  CHECK(Pool().processes() >= 1);
}
