// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/asio.hpp>
#include <hoist/hoist.hpp>
#include <hoist/listener.hpp>

#include <boost/asio.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "support/run_coroutine.hpp"
#include "support/sanitized.hpp"

namespace {

namespace asio = boost::asio;
using namespace hoist;
using namespace std::chrono_literals;
using boost::system::system_error;
using support::run;

using Task = asio::awaitable<void>;

bool is_aborted(const system_error& error) {
  return error.code() == asio::error::operation_aborted;
}

/// Whether it ends as a cancelled operation does.
template <class T>
asio::awaitable<bool> aborts(asio::awaitable<T> task) {
  try {
    co_await std::move(task);
  } catch (const system_error& error) {
    co_return is_aborted(error);
  }
  co_return false;
}

int add(int a, int b) { return a + b; }
[[noreturn]] void fail(const std::string& text) { throw std::out_of_range(text); }

struct NoDefault {
  explicit NoDefault(int n) : number(n) {}
  int number;
};

/// Occupies the only worker of an executor until it is told.
struct Occupied {
  explicit Occupied(Executor& executor) {
    future = executor.submit([this] {
      begun.set_value();
      gate.get_future().wait();
    });
    begun.get_future().wait();
  }
  ~Occupied() { open(); }
  void open() {
    if (!std::exchange(is_open, true)) gate.set_value();
  }
  std::promise<void> begun;
  std::promise<void> gate;
  bool is_open = false;
  Future<void> future;
};

Task sleep_for(std::chrono::milliseconds time) {
  asio::steady_timer timer(co_await asio::this_coro::executor, time);
  co_await timer.async_wait(asio::use_awaitable);
}

asio::awaitable<int> after(std::chrono::milliseconds time, int value) {
  co_await sleep_for(time);
  co_return value;
}

Task fail_after(std::chrono::milliseconds time, std::string text) {
  co_await sleep_for(time);
  throw std::out_of_range(text);
}

std::vector<asio::awaitable<int>> three(int slowest = 0) {
  std::vector<asio::awaitable<int>> tasks;
  for (int i = 0; i < 3; ++i) tasks.push_back(after((i == slowest ? 60ms : 5ms * i), i));
  return tasks;
}

}  // namespace

TEST_CASE("async_run makes a call and returns its result") {
  ThreadPoolExecutor threads({.max_workers = 2});
  run([](ThreadPoolExecutor& workers) -> Task {
    const auto here = std::this_thread::get_id();
    CHECK(co_await async_run(workers, add, 1, 2) == 3);
    CHECK(co_await async_run(workers, delayed(add)(3, 4)) == 7);
    co_await async_run(workers, [] {});
    CHECK((co_await async_run(workers, [] { return NoDefault(5); })).number == 5);
    CHECK(*co_await async_run(workers, [] { return std::make_unique<int>(6); }) == 6);
    CHECK(co_await async_run(workers, [] { return std::this_thread::get_id(); }) != here);
    CHECK(std::this_thread::get_id() == here);
    CHECK_THROWS_WITH_AS(co_await async_run(workers, fail, "far"), "far", std::out_of_range);
    workers.shutdown();
    CHECK_THROWS_AS(co_await async_run(workers, add, 1, 2), BadArgument);
  }(threads));
}

TEST_CASE("on processes, backends and pools") {
  ProcessPoolExecutor processes({.max_workers = 1});
  BackendExecutor sequential("sequential");
  ThreadPool pool(1);
  run([](Executor& workers, Executor& here, Pool& some) -> Task {
    CHECK(co_await async_run(workers, add, 1, 2) == 3);
    CHECK_THROWS_WITH_AS(co_await async_run(workers, fail, "far"), "far", std::out_of_range);
    CHECK_THROWS_AS(co_await async_run(workers, [] { std::abort(); }), WorkerDied);
    CHECK(co_await async_run(workers, partial(add, 4), 5) == 9);
    CHECK(co_await async_run(here, add, 1, 2) == 3);
    CHECK(co_await async_run(some, add, 1, 2) == 3);
  }(processes, sequential, pool));
}

TEST_CASE("any completion token") {
  ThreadPoolExecutor workers({.max_workers = 1});
  asio::io_context io;
  int called = 0;
  async_run(workers, delayed(add)(1, 2),
            asio::bind_executor(io, [&](std::exception_ptr error, int sum) {
              CHECK(error == nullptr);
              CHECK(sum == 3);
              ++called;
            }));
  async_run(workers, delayed(fail)("far"), asio::bind_executor(io, [&](std::exception_ptr error) {
              CHECK_THROWS_AS(std::rethrow_exception(error), std::out_of_range);
              ++called;
            }));
  async_run(workers, delayed([] { return NoDefault(7); })(),
            asio::bind_executor(io, [&](std::exception_ptr, std::optional<NoDefault> result) {
              CHECK(result.value().number == 7);
              ++called;
            }));
  io.run_for(60s);  // there is work until all have been called
  CHECK(called == 3);

  CHECK(async_run(workers, delayed(add)(2, 3), asio::use_future).get() == 5);
  CHECK_THROWS_AS(async_run(workers, delayed(fail)("far"), asio::use_future).get(),
                  std::out_of_range);
  run([](Executor& executor) -> Task {
    const auto [error, sum] =
        co_await async_run(executor, delayed(add)(3, 4), asio::as_tuple(asio::use_awaitable));
    CHECK(!error);
    CHECK(sum == 7);
    CHECK(co_await async_run(executor, delayed(add)(4, 5), asio::deferred)(asio::use_awaitable) ==
          9);
  }(workers));
}

TEST_CASE("ten thousand calls in flight") {
  ThreadPoolExecutor workers({.max_workers = 2});
  asio::io_context io;
  long sum = 0;
  constexpr int n = 10'000;
  for (int i = 0; i < n; ++i) {
    asio::co_spawn(
        io,
        [](Executor& executor, int number, long& total) -> Task {
          total += co_await async_run(executor, add, number, 1);
        }(workers, i, sum),
        asio::detached);
  }
  io.run_for(60s);
  CHECK(sum == long{n} * (n + 1) / 2);
}

TEST_CASE("many threads run the io_context") {
  ThreadPoolExecutor workers({.max_workers = 2});
  run(
      [](Executor& executor) -> Task {
        std::vector<asio::awaitable<int>> calls;
        for (int i = 0; i < 2000; ++i) calls.push_back(async_run(executor, add, i, 1));
        long sum = 0;
        for (const int result : co_await gather(calls)) sum += result;
        CHECK(sum == 2000L * 2001 / 2);
        calls.clear();
        for (int i = 0; i < 2000; ++i) calls.push_back(async_run(executor, add, i, 1));
        auto done = as_completed(calls);
        while (const auto result = co_await done.next()) sum -= *result;
        CHECK(sum == 0);
      }(workers),
      4);
}

TEST_CASE("a call that has not begun is taken back when it is cancelled") {
  ThreadPoolExecutor workers({.max_workers = 1});
  Occupied occupied(workers);
  asio::io_context io;
  for (const auto type : {asio::cancellation_type::terminal, asio::cancellation_type::partial,
                          asio::cancellation_type::total}) {
    asio::cancellation_signal signal;
    std::atomic<bool> made{false};
    std::exception_ptr end;
    async_run(workers, delayed([&] { made = true; })(),
              asio::bind_cancellation_slot(
                  signal.slot(),
                  asio::bind_executor(io, [&](std::exception_ptr error) { end = error; })));
    signal.emit(type);
    CHECK(end == nullptr);  // by its executor, not here
    io.restart();
    io.run_for(60s);
    CHECK_THROWS_AS(std::rethrow_exception(end), system_error);
    signal.emit(type);  // nothing is left to be cancelled
    if (type == asio::cancellation_type::total) {
      occupied.open();
      workers.submit([] {}).result();
    }
    CHECK(!made);
  }
}

TEST_CASE("a call that runs goes on when it is cancelled") {
  ThreadPoolExecutor workers({.max_workers = 1});
  std::promise<void> begun;
  std::promise<void> gate;
  std::atomic<bool> ended{false};
  run([](Executor& executor, auto& begins, auto& goes_on, auto& ends) -> Task {
    const auto call = [&] {
      begins.set_value();
      goes_on.get_future().wait();
      ends = true;
    };
    asio::cancellation_signal signal;
    const auto task = [&]() -> Task { CHECK(co_await aborts(async_run(executor, call))); };
    bool done = false;
    asio::co_spawn(
        co_await asio::this_coro::executor, task(),
        asio::bind_cancellation_slot(signal.slot(), [&](std::exception_ptr) { done = true; }));
    begins.get_future().wait();
    signal.emit(asio::cancellation_type::terminal);
    while (!done) co_await sleep_for(1ms);  // NOLINT(bugprone-infinite-loop)
    CHECK(!ends);
    goes_on.set_value();
  }(workers, begun, gate, ended));
  workers.shutdown();
  CHECK(ended);
}

TEST_CASE("a process is killed where the executor says so") {
  ProcessPoolExecutor workers({.max_workers = 1, .kill_on_cancel = true});
  run([](Executor& executor) -> Task {
    co_await async_run(executor, [] {});
    const auto begin = std::chrono::steady_clock::now();
    CHECK_THROWS_AS(
        co_await wait_for(async_run(executor, [] { std::this_thread::sleep_for(30s); }), 200ms),
        TimedOut);
    CHECK(co_await async_run(executor, add, 1, 2) == 3);
    CHECK(std::chrono::steady_clock::now() - begin < 25s);
  }(workers));
}

namespace {

/// Tells when a coroutine is destroyed, and by which thread.
struct Witness {
  explicit Witness(std::atomic<int>& n) : count(&n) {}
  Witness(const Witness&) = delete;
  Witness& operator=(const Witness&) = delete;
  ~Witness() { ++*count; }
  std::atomic<int>* count;
};

Task wait_for_call(Executor& executor, std::promise<void>& gate, std::atomic<int>& destroyed) {
  const Witness witness(destroyed);
  co_await async_run(executor, [&gate] { gate.get_future().wait(); });
  destroyed = 100;
}

}  // namespace

TEST_CASE("the io_context ends while calls are awaited") {
  for (const bool started : {true, false}) {
    ThreadPoolExecutor workers({.max_workers = 1});
    std::promise<void> first;
    std::promise<void> second;
    std::atomic<int> destroyed{0};
    asio::cancellation_signal signal;
    {
      asio::io_context io;
      asio::co_spawn(io, wait_for_call(workers, first, destroyed),
                     asio::bind_cancellation_slot(signal.slot(), asio::detached));
      asio::co_spawn(io, wait_for_call(workers, second, destroyed), asio::detached);
      if (started) {
        io.poll();
        CHECK(destroyed == 0);
      }
      io.stop();
    }
    CHECK(destroyed == (started ? 2 : 0));
    first.set_value();
    second.set_value();
    workers.shutdown();
    CHECK(destroyed == (started ? 2 : 0));
  }
}

TEST_CASE("the io_context ends while results come in") {
  ThreadPoolExecutor workers({.max_workers = 2});
  for (int round = 0; round < (support::sanitized ? 20 : 100); ++round) {
    std::atomic<int> started{0};
    std::atomic<int> destroyed{0};
    {
      asio::io_context io;
      for (int i = 0; i < 20; ++i) {
        asio::co_spawn(
            io,
            [](Executor& executor, std::atomic<int>& begun, std::atomic<int>& count) -> Task {
              ++begun;
              const Witness witness(count);
              for (;;) co_await async_run(executor, add, 1, 2);
            }(workers, started, destroyed),
            asio::detached);
      }
      io.run_for(1ms);
    }
    CHECK(destroyed == started);
  }
}

TEST_CASE("it ends while groups of coroutines run") {
  ThreadPoolExecutor workers({.max_workers = 1});
  Occupied occupied(workers);
  std::atomic<int> destroyed{0};
  Queue<int> queue;
  Event event;
  {
    asio::io_context io;
    asio::co_spawn(
        io,
        [](Executor& executor, Queue<int>& items, Event& happens, std::atomic<int>& count) -> Task {
          const Witness witness(count);
          const auto wait = [&]() -> Task {
            const Witness inner(count);
            co_await gather(async_run(executor, add, 1, 2), items.async_get(),
                            happens.async_wait());
          };
          std::vector<Task> tasks;
          tasks.push_back(wait_for(wait(), 100s));
          tasks.push_back(wait());
          auto done = as_completed(tasks);
          co_await done.next();
        }(workers, queue, event, destroyed),
        asio::detached);
    io.run_for(30ms);
    CHECK(destroyed == 0);
  }
  CHECK(destroyed == 3);
  queue.put(1);
  event.set();
  CHECK(queue.get() == 1);
}

TEST_CASE("the executor is destroyed first") {
  run([]() -> Task {
    auto workers = std::make_unique<ThreadPoolExecutor>(ExecutorOptions{.max_workers = 1});
    std::vector<asio::awaitable<int>> calls;
    for (int i = 0; i < 20; ++i) calls.push_back(async_run(*workers, add, i, 0));
    auto late = async_run(*workers, add, 1, 2);
    auto done = as_completed(calls);
    CHECK((co_await done.next()).has_value());
    workers.reset();
    int rest = 0;
    while (co_await done.next()) ++rest;
    CHECK(rest == 19);
    CHECK_THROWS_AS(co_await std::move(late), BadArgument);
  }());
  run([]() -> Task {
    ProcessPoolExecutor workers({.max_workers = 1});
    std::vector<Task> calls;
    for (int i = 0; i < 3; ++i) {
      calls.push_back(async_run(workers, [] { std::this_thread::sleep_for(600s); }));
    }
    calls.push_back([](Executor& executor) -> Task {
      co_await sleep_for(50ms);
      executor.terminate_workers();
    }(workers));
    int cancelled = 0;
    for (const auto& outcome : co_await gather(calls, {.return_exceptions = true})) {
      if (outcome) continue;
      CHECK_THROWS_AS(outcome.value(), Cancelled);
      ++cancelled;
    }
    CHECK(cancelled == 3);
  }());
}

TEST_CASE("gather returns results in order") {
  run([]() -> Task {
    const auto begin = std::chrono::steady_clock::now();
    const auto [one, nothing, two] =
        co_await gather(after(40ms, 1), sleep_for(5ms), after(40ms, 2));
    CHECK(one == 1);
    CHECK(nothing == std::monostate());
    CHECK(two == 2);
    const std::vector expected{0, 1, 2};
    CHECK(co_await gather(three(0)) == expected);
    CHECK(std::chrono::steady_clock::now() - begin < 30s);

    CHECK((co_await gather(std::vector<asio::awaitable<int>>())).empty());
    CHECK((co_await gather(std::vector<Task>(), {.return_exceptions = true})).empty());
    co_await gather();
    auto numbers =
        std::views::iota(0, 3) | std::views::transform([](int i) { return after(1ms, i); });
    CHECK(co_await gather(numbers) == expected);
  }());
}

TEST_CASE("gather throws the first error at once") {
  run([]() -> Task {
    bool others = false;
    const auto other = [&]() -> Task {
      co_await sleep_for(100ms);
      others = true;
    };
    Task second = fail_after(20ms, "second");
    Task first = fail_after(5ms, "first");
    CHECK_THROWS_WITH_AS(co_await gather(other(), std::move(second), std::move(first)), "first",
                         std::out_of_range);
    CHECK(!others);
    while (!others) co_await sleep_for(5ms);  // it goes on

    std::vector<Task> tasks;
    tasks.push_back(sleep_for(10ms));
    tasks.push_back(fail_after(1ms, "bad"));
    const auto outcomes = co_await gather(tasks, {.return_exceptions = true});
    REQUIRE(outcomes.size() == 2);
    CHECK(outcomes[0].has_value());
    CHECK(outcomes[1].message() == "bad");
    CHECK(outcomes[1].index() == 1);
    std::vector<Task> again;
    again.push_back(fail_after(1ms, "bad"));
    CHECK_THROWS_AS(co_await gather(again, GatherOptions{}), std::out_of_range);
  }());
}

TEST_CASE("cancelling gather cancels all") {
  ThreadPoolExecutor workers({.max_workers = 1});
  Occupied occupied(workers);
  run([](Executor& executor) -> Task {
    int aborted = 0;
    const auto one = [&]() -> Task {
      if (co_await aborts(async_run(executor, add, 1, 2))) ++aborted;
    };
    const auto both = [&]() -> Task { co_await gather(one(), one()); };
    CHECK_THROWS_AS(co_await wait_for(both(), 20ms), TimedOut);
    CHECK(aborted == 2);
  }(workers));
}

TEST_CASE("as_completed returns results as they come") {
  run([]() -> Task {
    auto done = as_completed(three(0));
    std::vector<int> order;
    while (const auto value = co_await done.next()) order.push_back(*value);
    CHECK(order == std::vector{1, 2, 0});
    CHECK(!(co_await done.next()).has_value());

    std::vector<Task> tasks;
    tasks.push_back(fail_after(1ms, "bad"));
    tasks.push_back(sleep_for(20ms));
    auto failing = as_completed(tasks);
    CHECK_THROWS_WITH_AS(co_await failing.next(), "bad", std::out_of_range);
    CHECK((co_await failing.next()).has_value());
    CHECK(!(co_await failing.next()).has_value());

    auto none = as_completed(std::vector<Task>());
    CHECK(!(co_await none.next()).has_value());

    tasks.clear();
    tasks.push_back(sleep_for(500ms));
    tasks.push_back(sleep_for(1ms));
    auto late = as_completed(tasks, 50ms);
    CHECK((co_await late.next()).has_value());
    CHECK_THROWS_AS(co_await late.next(), TimedOut);

    // What is cancelled is the wait for the next one.
    auto slow = as_completed(three(0));
    CHECK_THROWS_AS(co_await wait_for(slow.next(), 1us), TimedOut);
    int rest = 0;
    while (co_await slow.next()) ++rest;
    CHECK(rest == 3);
  }());
}

TEST_CASE("wait_for") {
  run([]() -> Task {
    CHECK(co_await wait_for(after(1ms, 5), 60s) == 5);
    CHECK(co_await wait_for(after(1ms, 5), {}) == 5);
    co_await wait_for(sleep_for(1ms), 60);
    CHECK_THROWS_AS(co_await wait_for(sleep_for(60s), 10ms), TimedOut);
    CHECK_THROWS_AS(co_await wait_for(sleep_for(60s), 0s), TimedOut);
    CHECK_THROWS_AS(co_await wait_for(fail_after(1ms, "bad"), 60s), std::out_of_range);
    // The inner time limit is an error like others.
    CHECK_THROWS_AS(co_await wait_for(wait_for(sleep_for(60s), 10ms), 60s), TimedOut);
    // What has a result in spite of being cancelled.
    const auto stubborn = []() -> asio::awaitable<int> {
      static_cast<void>(co_await aborts(sleep_for(60s)));
      co_return 7;
    };
    CHECK(co_await wait_for(stubborn(), 10ms) == 7);
    CHECK((co_await wait_for([]() -> asio::awaitable<NoDefault> { co_return NoDefault(8); }(), 60s))
              .number == 8);
  }());
}

TEST_CASE("queues") {
  run([]() -> Task {
    Queue<std::string> queue(2);
    co_await queue.async_put("one");
    co_await queue.async_put("two");
    CHECK_THROWS_AS(co_await wait_for(queue.async_put("three"), 30ms), TimedOut);
    CHECK(queue.size() == 2);
    std::thread consumer([&] {
      std::this_thread::sleep_for(20ms);
      static_cast<void>(queue.get());
    });
    co_await queue.async_put("three");
    consumer.join();
    CHECK(co_await queue.async_get() == "two");
    CHECK(co_await queue.async_get() == "three");
    CHECK_THROWS_AS(co_await wait_for(queue.async_get(), 30ms), TimedOut);

    // An awaited get takes nothing once it was cancelled.
    queue.put("four");
    CHECK(queue.get(1s) == "four");
    std::thread producer([&] {
      std::this_thread::sleep_for(20ms);
      queue.put("five");
    });
    CHECK(co_await queue.async_get() == "five");
    producer.join();
    std::thread closer([&] {
      std::this_thread::sleep_for(20ms);
      queue.close();
    });
    CHECK_THROWS_AS(co_await queue.async_get(), Closed);
    CHECK_THROWS_AS(co_await queue.async_put("six"), Closed);
    closer.join();

    const Queue<std::vector<char>> small({.max_bytes = 64 << 10});
    CHECK_THROWS_AS(co_await small.async_put(std::vector<char>(1 << 20)), BadArgument);
    co_await small.async_put(std::vector<char>(1 << 10));
  }());
}

TEST_CASE("several coroutines and processes use a queue") {
  run([]() -> Task {
    const Queue<int> numbers(4);
    const Queue<int> squares(4);
    Process worker(
        [](const Queue<int>& in, const Queue<int>& out) {
          for (const int n : in) out.put(n * n);
        },
        numbers, squares);
    worker.start();
    constexpr int n = 200;
    long sum = 0;
    const auto produce = [&]() -> Task {
      for (int i = 0; i < n; ++i) co_await numbers.async_put(i);
    };
    const auto consume = [&]() -> Task {
      for (int i = 0; i < n / 2; ++i) sum += co_await squares.async_get();
    };
    co_await gather(produce(), consume(), consume());
    CHECK(sum == (n - 1L) * n * (2 * n - 1) / 6);
    numbers.close();
    co_await worker.async_join();
    CHECK(worker.exitcode() == 0);
  }());
}

TEST_CASE("connections") {
  run([]() -> Task {
    auto [here, there] = Pipe<int>();
    there.send(1);
    CHECK(co_await here.async_recv() == 1);
    CHECK_THROWS_AS(co_await wait_for(here.async_recv(), 30ms), TimedOut);
    std::thread sender([end = there] {
      std::this_thread::sleep_for(20ms);
      end.send(2);
    });
    CHECK(co_await here.async_recv() == 2);
    sender.join();
    there.send_bytes("text");
    CHECK_THROWS_AS(co_await here.async_recv(), WrongType);

    // Those at the other end die.
    Process process(
        [](const Connection<int>& end) {
          end.send(3);
          std::this_thread::sleep_for(50ms);
          std::abort();
        },
        there);
    process.start();
    there.close();
    CHECK(co_await here.async_recv() == 3);
    CHECK_THROWS_AS(co_await here.async_recv(), EndOfStream);
    co_await process.async_join();
    CHECK(process.exitcode() == -SIGABRT);
    here.close();
    CHECK_THROWS_AS(co_await here.async_recv(), BadArgument);
  }());
}

TEST_CASE("connections by sockets") {
  run([]() -> Task {
    const Listener listener("127.0.0.1:0", {.authkey = "0123456789abcdef"});
    std::thread peer([address = listener.address()] {
      const auto end = connect<std::string>(address, {.authkey = "0123456789abcdef"});
      end.send("one");
      CHECK(end.recv() == "go on");
      std::this_thread::sleep_for(20ms);
      end.send(std::string(3 << 20, 'x'));  // comes in parts
      end.send_bytes("text");
    });
    const auto here = listener.accept<std::string>(20s);
    CHECK(co_await here.async_recv() == "one");
    CHECK_THROWS_AS(co_await wait_for(here.async_recv(), 30ms), TimedOut);
    here.send("go on");
    CHECK(co_await here.async_recv() == std::string(3 << 20, 'x'));
    CHECK_THROWS_AS(co_await here.async_recv(), WrongType);
    CHECK_THROWS_AS(co_await here.async_recv(), EndOfStream);
    peer.join();
    here.close();
    CHECK_THROWS_AS(co_await here.async_recv(), BadArgument);
  }());
}

TEST_CASE("processes and events") {
  run([]() -> Task {
    const Event event;
    CHECK_THROWS_AS(co_await wait_for(event.async_wait(), 30ms), TimedOut);
    Process process([](const Event& happens) { happens.set(); }, event);
    CHECK_THROWS_AS(co_await process.async_join(), BadArgument);  // not started
    process.start();
    co_await gather(event.async_wait(), process.async_join());
    CHECK(event.is_set());
    co_await event.async_wait();
    co_await process.async_join();
    CHECK(process.exitcode() == 0);

    Process sleeper([] { std::this_thread::sleep_for(600s); });
    sleeper.start();
    CHECK_THROWS_AS(co_await wait_for(sleeper.async_join(), 30ms), TimedOut);
    sleeper.kill();
    co_await sleeper.async_join();
    CHECK(sleeper.exitcode() == -SIGKILL);

    // It is set and cleared at once.
    const Event pulse;
    std::thread setter([&] {
      std::this_thread::sleep_for(50ms);
      pulse.set();
      pulse.clear();
    });
    co_await pulse.async_wait();
    setter.join();
  }());
}

TEST_CASE("more waits than the system can sleep on at once") {
  run([]() -> Task {
    std::vector<Event> events(300);
    std::vector<Task> tasks;
    for (const Event& event : events) tasks.push_back(event.async_wait());
    std::thread setter([&] {
      std::this_thread::sleep_for(20ms);
      for (const Event& event : events) event.set();
    });
    co_await gather(tasks);
    setter.join();
  }());
}

TEST_CASE("cancelling races with results") {
  ThreadPoolExecutor workers({.max_workers = 2});
  const Queue<int> queue;
  std::atomic<int> results{0};
  std::atomic<int> late{0};
  constexpr int n = 400;
  run(
      [](Executor& executor, const Queue<int>& items, auto& there, auto& over) -> Task {
        const auto wait = [&](Task task, int limit) -> Task {
          try {
            co_await wait_for(std::move(task), std::chrono::microseconds(limit));
            ++there;
          } catch (const TimedOut&) {
            ++over;
          }
        };
        const auto get = [&]() -> Task { static_cast<void>(co_await items.async_get()); };
        std::vector<Task> tasks;
        for (int i = 0; i < n; ++i) {
          const std::chrono::microseconds time(i % 7 * 10);
          tasks.push_back(wait(async_run(executor, [time] { std::this_thread::sleep_for(time); }),
                               i % 50 * 200));
          tasks.push_back(wait(get(), i % 50 * 200));
        }
        std::thread producer([&] {
          for (int i = 0; i < n / 2; ++i) {
            items.put(i);
            std::this_thread::sleep_for(10us);
          }
        });
        co_await gather(tasks);
        producer.join();
      }(workers, queue, results, late),
      3);
  CHECK(results + late == 2 * n);
  CHECK(results > 0);
}

TEST_CASE("handlers of queues and events") {
  Queue<int> queue;
  Event event;
  asio::io_context io;
  int called = 0;
  queue.async_get(asio::bind_executor(io, [&](std::exception_ptr error, int item) {
    CHECK(!error);
    CHECK(item == 4);
    ++called;
  }));
  event.async_wait(asio::bind_executor(io, [&](std::exception_ptr error) {
    CHECK(!error);
    ++called;
  }));
  queue.put(4);
  event.set();
  io.run_for(60s);
  CHECK(called == 2);
  queue.put(5);
  CHECK(queue.async_get(asio::use_future).get() == 5);
}
