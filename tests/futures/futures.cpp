// SPDX-License-Identifier: BSD-3-Clause
//
// Futures and promises by themselves: waiting, callbacks, continuations.
#include <doctest/doctest.h>
#include <hoist/error.hpp>
#include <hoist/executor.hpp>
#include <hoist/future.hpp>

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <latch>
#include <memory>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "futures/support.hpp"
#include "support/child_program.hpp"
#include "support/temp_dir.hpp"

using namespace hoist;
using namespace std::chrono_literals;
using namespace futures;

namespace {

using Ids = std::vector<std::thread::id>;

/// Waits until all callbacks that were posted so far are over.
void flush_callbacks() {
  Promise<void> promise;
  std::latch called(1);
  promise.future().add_done_callback([&](const Future<void>&) { called.count_down(); });
  promise.set_value();
  called.wait();
}

/// What is written to stderr meanwhile.
template <class Work>
std::string errors_of(const Work& work) {
  const support::TempDir dir;
  const int file = ::open((dir / "stderr").c_str(), O_WRONLY | O_CREAT, 0600);
  const int saved = ::dup(2);
  ::dup2(file, 2);
  work();
  ::dup2(saved, 2);
  ::close(saved);
  ::close(file);
  return support::slurp(dir / "stderr");
}

template <class R>
Future<R> ready(R value) {
  Promise<R> promise;
  promise.set_value(std::move(value));
  return promise.future();
}
template <class R>
Future<R> failed(const std::string& text) {
  Promise<R> promise;
  promise.set_exception(std::runtime_error(text));
  return promise.future();
}

}  // namespace

TEST_CASE("a promise gives its future the value, the exception, or void") {
  const HardLimit limit;
  Promise<std::string> text;
  const Future<std::string> future = text.future();
  CHECK(future.valid());
  CHECK_FALSE(future.done());
  CHECK_FALSE(future.running());
  CHECK(text.set_running());
  CHECK(future.running());
  CHECK_FALSE(future.cancel());
  CHECK(text.set_value(3, 'x'));
  CHECK(future.done());
  CHECK_FALSE(future.running());
  CHECK_FALSE(future.cancelled());
  CHECK(future.result() == "xxx");
  CHECK(future.exception() == nullptr);
  const Future<std::string> other = text.future();
  CHECK(&future.result() == &other.result());

  Promise<int> number;
  CHECK(number.set_exception(std::make_exception_ptr(std::out_of_range("far"))));
  CHECK_THROWS_WITH_AS(number.future().result(), "far", std::out_of_range);
  CHECK(is<std::out_of_range>(number.future().exception()));
  CHECK_FALSE(number.future().cancelled());

  Promise<void> nothing;
  CHECK(nothing.set_value());
  nothing.future().result();
  CHECK(nothing.future().exception() == nullptr);
}

TEST_CASE("a result is set once") {
  Promise<int> promise;
  promise.set_value(1);
  CHECK_THROWS_AS(promise.set_value(2), BadArgument);
  CHECK_THROWS_AS(promise.set_exception(std::runtime_error("late")), BadArgument);
  CHECK_FALSE(promise.set_running());
  CHECK(promise.future().result() == 1);
  Promise<int> failing;
  failing.set_exception(std::runtime_error("first"));
  CHECK_THROWS_AS(failing.set_value(2), BadArgument);
  CHECK_THROWS_AS(failing.set_exception(std::runtime_error("second")), BadArgument);
  CHECK_THROWS_WITH(failing.future().result(), "first");
  Promise<int> null;
  CHECK_THROWS_AS(null.set_exception(std::exception_ptr()), BadArgument);
  CHECK_FALSE(null.future().done());
}

TEST_CASE("of several threads that set a result one succeeds") {
  const HardLimit limit;
  for (int round = 0; round < 300; ++round) {
    Promise<int> promise;
    std::atomic<int> set{0};
    std::atomic<int> refused{0};
    {
      std::latch start(4);
      std::vector<std::jthread> threads;
      for (int i = 0; i < 4; ++i) {
        threads.emplace_back([&, i] {
          start.arrive_and_wait();
          try {
            promise.set_value(i);
            ++set;
          } catch (const BadArgument&) {
            ++refused;
          }
        });
      }
    }
    CHECK(set == 1);
    CHECK(refused == 3);
    CHECK(promise.future().done());
  }
}

TEST_CASE("a value whose constructor throws makes its exception the future's") {
  struct Picky {
    explicit Picky(int x) {
      if (x < 0) throw std::domain_error("negative");
    }
  };
  Promise<Picky> promise;
  CHECK(promise.set_value(-1));
  CHECK_THROWS_AS(promise.future().result(), std::domain_error);
}

TEST_CASE("a promise that is destroyed without a result cancels its future") {
  const HardLimit limit;
  Future<int> future;
  {
    Promise<int> promise;
    future = promise.future();
    promise.set_running();
  }
  CHECK(future.done());
  CHECK(future.cancelled());
  CHECK_THROWS_WITH_AS(future.result(), doctest::Contains("Promise"), Cancelled);
  Future<int> replaced;
  Promise<int> promise;
  replaced = promise.future();
  promise = Promise<int>();
  CHECK(replaced.cancelled());
  CHECK_FALSE(promise.future().done());
  Promise<int> moved = std::move(promise);
  moved.set_value(3);
  CHECK(moved.future().result() == 3);
}

TEST_CASE("a cancelled future takes no result and says so") {
  Promise<int> promise;
  const Future<int> future = promise.future();
  CHECK(future.cancel());
  CHECK(future.cancel());
  CHECK(future.cancelled());
  CHECK(future.done());
  CHECK_FALSE(promise.set_running());
  CHECK_FALSE(promise.set_value(1));
  CHECK_FALSE(promise.set_exception(std::runtime_error("late")));
  CHECK_THROWS_AS(future.result(), Cancelled);
  CHECK(is<Cancelled>(future.exception()));
}

TEST_CASE("a future that refers to nothing says so") {
  const Future<int> none;
  CHECK_FALSE(none.valid());
  CHECK_THROWS_AS(none.result(), BadArgument);
  CHECK_THROWS_AS(none.exception(), BadArgument);
  CHECK_THROWS_AS(none.wait(), BadArgument);
  CHECK_THROWS_AS(none.done(), BadArgument);
  CHECK_THROWS_AS(none.running(), BadArgument);
  CHECK_THROWS_AS(none.cancel(), BadArgument);
  CHECK_THROWS_AS(none.cancelled(), BadArgument);
  CHECK_THROWS_AS(none.add_done_callback([](const Future<int>&) {}), BadArgument);
  CHECK_THROWS_AS(none.then([](int x) { return x; }), BadArgument);
  const std::vector<Future<int>> all{ready(1), none};
  CHECK_THROWS_AS(wait(all), BadArgument);
  CHECK_THROWS_AS(as_completed(all), BadArgument);
  CHECK_THROWS_AS(when_all(all), BadArgument);
  CHECK_THROWS_AS(when_all(ready(1), none), BadArgument);
  Future<int> moved = ready(2);
  const Future<int> taken = std::move(moved);
  CHECK(taken.result() == 2);
  CHECK_FALSE(moved.valid());  // NOLINT: it says that it was moved from
}

TEST_CASE("a time limit ends the wait and not the call") {
  const HardLimit limit;
  Promise<int> promise;
  const Future<int> future = promise.future();
  const Stopwatch watch;
  CHECK_THROWS_WITH_AS(future.result(50ms), doctest::Contains("not there within"), TimedOut);
  CHECK_THROWS_AS(future.exception(0.05), TimedOut);
  CHECK_FALSE(future.wait(50ms));
  CHECK(watch.seconds() >= 0.15);
  CHECK(watch.seconds() < 10);
  CHECK_FALSE(future.wait(0));
  CHECK_THROWS_AS(future.result(0), TimedOut);
  promise.set_value(4);
  CHECK(future.wait(0));
  CHECK(future.result(0) == 4);
}

TEST_CASE("results move out of the last handle, and are copied from others") {
  const HardLimit limit;
  auto moved = ready(std::make_unique<int>(5));
  const std::unique_ptr<int> five = std::move(moved).result();
  REQUIRE(five != nullptr);
  CHECK(*five == 5);
  auto one = ready(std::string(100, 'x'));
  const auto other = one;
  CHECK(std::move(one).result() == std::string(100, 'x'));
  CHECK(other.result() == std::string(100, 'x'));
}

// A wait that began while the result was being set slept for ever.
TEST_CASE("waits that race with the completion lose no wake-up") {
  const HardLimit limit;
  for (int round = 0; round < 200; ++round) {
    std::vector<Promise<int>> promises(8);
    std::vector<Future<int>> pending;
    for (const auto& promise : promises) pending.push_back(promise.future());
    std::latch start(4);
    std::jthread single([&] {
      start.arrive_and_wait();
      for (const auto& future : pending) future.wait();
    });
    std::jthread grouped([&] {
      start.arrive_and_wait();
      const auto waited = wait(pending);
      if (waited.done.size() != 8) std::abort();
    });
    std::jthread completed([&] {
      start.arrive_and_wait();
      int sum = 0;
      for (const auto& future : as_completed(pending)) sum += future.result();
      if (sum != 28) std::abort();
    });
    start.arrive_and_wait();
    for (int i = 0; i < 8; ++i) promises[static_cast<std::size_t>(i)].set_value(i);
  }
}

TEST_CASE("100 waits race with the end of calls") {
  for_each_backend([](On on) {
    const auto executor = make_executor(on, {.max_workers = 2});
    for (int round = 0; round < 100; ++round) {
      std::vector<Future<int>> calls;
      for (int i = 0; i < 4; ++i) calls.push_back(executor->submit(square, i));
      const auto waited = wait(calls, ReturnWhen::all_completed, 30s);
      REQUIRE(waited.done.size() == 4);
      for (int i = 0; i < 4; ++i) {
        CHECK(waited.done[static_cast<std::size_t>(i)].result() == i * i);
      }
    }
  });
}

TEST_CASE("wait tells those that are done from those that are not, each once and in order") {
  const HardLimit limit;
  Promise<int> pending;
  Promise<int> running;
  running.set_running();
  const auto one = ready(1);
  const auto two = failed<int>("two");
  Promise<int> gone;
  const auto three = gone.future();
  three.cancel();
  const std::vector all{pending.future(), one, two, one, running.future(), three, two};
  const auto first = wait(all, ReturnWhen::first_completed);
  REQUIRE(first.done.size() == 3);
  CHECK(first.done[0].result() == 1);
  CHECK_THROWS(first.done[1].result());
  CHECK(first.done[2].cancelled());
  REQUIRE(first.not_done.size() == 2);
  CHECK_FALSE(first.not_done[0].running());
  CHECK(first.not_done[1].running());
  CHECK(wait(all, ReturnWhen::first_exception).not_done.size() == 2);
  const Stopwatch watch;
  const auto timed = wait(all, ReturnWhen::all_completed, 50ms);
  CHECK(watch.seconds() >= 0.05);
  CHECK(timed.done.size() == 3);
  CHECK(timed.not_done.size() == 2);
  CHECK(wait(all, ReturnWhen::all_completed, 0).not_done.size() == 2);
  pending.set_value(0);
  running.set_value(0);
  CHECK(wait(all).done.size() == 5);
  CHECK(wait(std::vector<Future<int>>{}).done.empty());
  CHECK(wait(all | std::views::take(2)).done.size() == 2);
}

TEST_CASE("wait for the first exception passes over results and cancelled ones") {
  const HardLimit limit;
  std::vector<Promise<int>> promises(4);
  std::vector<Future<int>> all;
  for (const auto& promise : promises) all.push_back(promise.future());
  promises[0].set_value(0);
  all[1].cancel();
  const std::jthread later([&] {
    std::this_thread::sleep_for(50ms);
    promises[2].set_exception(std::runtime_error("two"));
  });
  const auto waited = wait(all, ReturnWhen::first_exception);
  CHECK(waited.done.size() == 3);
  CHECK(waited.not_done.size() == 1);
  std::vector<Future<int>> cancelled{all[0], all[1]};
  CHECK(wait(cancelled, ReturnWhen::first_exception).done.size() == 2);
}

TEST_CASE("wait and as_completed mix promises and executors") {
  for_each_backend_beside_threads([](On on) {
    ThreadPoolExecutor threads({.max_workers = 2});
    const auto one = make_executor(on, {.max_workers = 2});
    const auto two = make_executor(on, {.max_workers = 1, .retries = 1});
    Promise<int> promise;
    std::jthread setter;
    std::vector<Future<int>> all;
    for (int i = 0; i < 8; ++i) {
      all.push_back(threads.submit(square, i));
      all.push_back(one->submit(square, 10 + i));
      all.push_back(two->submit(square, 20 + i));
    }
    all.push_back(promise.future());
    setter = std::jthread([&] {
      std::this_thread::sleep_for(20ms);
      promise.set_value(7);
    });
    std::multiset<int> results;
    for (const auto& future : as_completed(all, 50s)) results.insert(future.result());
    CHECK(results.size() == 25);
    CHECK(results.count(7) == 1);
    CHECK(results.count(17 * 17) == 1);
    CHECK(wait(all, ReturnWhen::all_completed, 50s).done.size() == 25);
  });
}

TEST_CASE("as_completed gives each future once, those that are done first") {
  const HardLimit limit;
  Promise<int> late;
  Promise<int> later;
  const std::vector all{later.future(), ready(1), late.future(), ready(2), later.future()};
  const std::jthread setter([&] {
    std::this_thread::sleep_for(30ms);
    late.set_value(3);
    later.set_exception(std::runtime_error("4"));
  });
  std::vector<int> order;
  for (const auto& future : as_completed(all)) {
    order.push_back(future.exception() ? 4 : future.result());
  }
  CHECK(order == std::vector{1, 2, 3, 4});
  for (const auto& future : as_completed(std::vector<Future<int>>{})) CHECK(future.done());
}

TEST_CASE("the time limit of as_completed tells how many are unfinished") {
  const HardLimit limit;
  std::vector<Promise<int>> promises(4);
  std::vector<Future<int>> all;
  for (const auto& promise : promises) all.push_back(promise.future());
  promises[1].set_value(1);
  int seen = 0;
  const auto loop = [&] {
    for (const auto& future : as_completed(all, 50ms)) seen += future.result();
  };
  CHECK_THROWS_WITH_AS(loop(), "3 (of 4) futures are unfinished at the time limit", TimedOut);
  CHECK(seen == 1);
  CHECK_THROWS_WITH_AS(loop(), doctest::Contains("3 (of 4)"), TimedOut);
  for (auto& promise : promises) {
    if (!promise.future().done()) promise.set_value(0);
  }
}

TEST_CASE("as_completed sees results that other threads set, in the order in which they come") {
  const HardLimit limit;
  constexpr std::size_t count = 1000;
  std::vector<Promise<std::size_t>> promises(count);
  std::vector<Future<std::size_t>> all;
  for (const auto& promise : promises) all.push_back(promise.future());
  std::vector<std::jthread> setters;
  for (std::size_t t = 0; t < 4; ++t) {
    setters.emplace_back([&promises, t] {
      for (std::size_t i = t; i < count; i += 4) promises[i].set_value(i);
    });
  }
  std::vector<std::size_t> last(4, 0);
  std::size_t seen = 0;
  for (const auto& future : as_completed(all, 50s)) {
    const std::size_t i = future.result();
    ++seen;
    if (i >= 4) CHECK(last[i % 4] == i - 4);
    last[i % 4] = i;
  }
  CHECK(seen == count);
}

TEST_CASE("an abandoned as_completed, or wait, takes nothing along") {
  const HardLimit limit;
  std::vector<Promise<int>> promises(3);
  std::vector<Future<int>> all;
  for (const auto& promise : promises) all.push_back(promise.future());
  promises[2].set_value(2);
  for (const auto& future : as_completed(all)) {
    CHECK(future.result() == 2);
    break;
  }
  CHECK(wait(all, ReturnWhen::first_completed).done.size() == 1);
  for (int round = 0; round < 300; ++round) {
    // Some are told while the group is being given up.
    std::vector<Promise<int>> racing(4);
    std::vector<Future<int>> futures;
    for (const auto& promise : racing) futures.push_back(promise.future());
    std::latch start(2);
    std::jthread setter([&] {
      start.arrive_and_wait();
      for (auto& promise : racing) promise.set_value(1);
    });
    start.arrive_and_wait();
    const auto waited = wait(futures, ReturnWhen::first_completed);
    CHECK(!waited.done.empty());
  }
}

TEST_CASE("handles are dropped as as_completed proceeds") {
  const HardLimit limit;
  std::vector<Future<std::shared_ptr<int>>> all;
  std::vector<std::weak_ptr<int>> seen;
  for (int i = 0; i < 5; ++i) {
    auto value = std::make_shared<int>(i);
    seen.emplace_back(value);
    all.push_back(ready(std::move(value)));
  }
  auto completed = as_completed(std::exchange(all, {}));
  std::size_t at = 0;
  for (auto& future : completed) {
    CHECK(*future.result() == static_cast<int>(at));
    if (at > 0) CHECK(seen[at - 1].expired());
    ++at;
  }
  CHECK(at == 5);
  for (const auto& one : seen) CHECK(one.expired());
}

TEST_CASE("results of calls that were waited for move out of the last handle") {
  const HardLimit limit;
  std::vector<Promise<std::shared_ptr<int>>> promises(3);
  std::vector<Future<std::shared_ptr<int>>> all;
  for (const auto& promise : promises) all.push_back(promise.future());
  auto completed = as_completed(std::exchange(all, {}));
  for (auto& promise : promises) promise.set_value(std::make_shared<int>(1));
  promises.clear();
  int seen = 0;
  for (auto& future : completed) {
    CHECK(std::move(future).result().use_count() == 1);
    ++seen;
  }
  CHECK(seen == 3);
}

TEST_CASE("callbacks run in one thread, those of a future in the order of their addition") {
  for_each_backend([](On on) {
    const auto executor = make_executor(on, {.max_workers = 2});
    std::mutex mutex;
    Ids ids;
    std::map<int, std::vector<int>> orders;
    std::vector<Future<int>> calls;
    for (int i = 0; i < 20; ++i) {
      calls.push_back(executor->submit(square, i));
      for (int k = 0; k < 5; ++k) {
        calls.back().add_done_callback([&, i, k](const Future<int>& future) {
          const std::lock_guard lock(mutex);
          CHECK(future.done());
          CHECK(future.result() == i * i);
          ids.push_back(std::this_thread::get_id());
          orders[i].push_back(k);
        });
      }
    }
    executor->shutdown();  // which waits for them
    const std::lock_guard lock(mutex);
    CHECK(ids.size() == 100);
    CHECK(std::set(ids.begin(), ids.end()).size() == 1);
    CHECK(ids.front() != std::this_thread::get_id());
    for (const auto& [i, order] : orders) CHECK(order == std::vector{0, 1, 2, 3, 4});
  });
}

TEST_CASE("a callback runs without anybody who waits, also of what failed or was cancelled") {
  for_each_backend([](On on) {
    const auto executor = make_executor(on, {.max_workers = 1});
    std::latch called(3);
    std::atomic<int> errors{0};
    std::atomic<int> cancelled{0};
    const auto callback = [&](const Future<int>& future) {
      errors += future.exception() != nullptr ? 1 : 0;
      cancelled += future.cancelled() ? 1 : 0;
      called.count_down();
    };
    executor->submit(sleep_ms, 20).add_done_callback(callback);
    executor->submit(fail_at, 3, 3).add_done_callback(callback);
    Promise<int> promise;
    promise.future().add_done_callback(callback);
    promise.future().cancel();
    called.wait();
    CHECK(errors == 2);
    CHECK(cancelled == 1);
  });
}

TEST_CASE("a callback of a future that is done is called soon, and not in this thread") {
  const HardLimit limit;
  std::latch called(1);
  std::thread::id id;
  ready(1).add_done_callback([&](const Future<int>&) {
    id = std::this_thread::get_id();
    called.count_down();
  });
  called.wait();
  CHECK(id != std::this_thread::get_id());
}

TEST_CASE("a callback that throws is reported, and harms none") {
  const HardLimit limit;
  std::atomic<int> called{0};
  const std::string errors = errors_of([&] {
    Promise<int> promise;
    const auto future = promise.future();
    future.add_done_callback([&](const Future<int>&) {
      ++called;
      throw std::runtime_error("thrown by a callback");
    });
    future.add_done_callback([&](const Future<int>&) {
      ++called;
      throw 3;
    });
    future.add_done_callback([&](const Future<int>&) { ++called; });
    promise.set_value(1);
    flush_callbacks();
    CHECK(future.result() == 1);
  });
  CHECK(called == 3);
  CAPTURE(errors);
  CHECK(errors.find("a callback of a future threw") != std::string::npos);
  CHECK(errors.find("thrown by a callback") != std::string::npos);
  CHECK(std::ranges::count(errors, '\n') >= 2);
}

TEST_CASE("callbacks may submit calls, wait for them, and add callbacks") {
  for_each_backend([](On on) {
    const auto executor = make_executor(on, {.max_workers = 1});
    std::latch called(2);
    int result = 0;
    const auto first = executor->submit(square, 3);
    first.add_done_callback([&](const Future<int>& future) {
      const auto second = executor->submit(square, future.result());
      result = second.result();
      second.add_done_callback([&](const Future<int>&) { called.count_down(); });
      future.add_done_callback([&](const Future<int>&) { called.count_down(); });
    });
    called.wait();
    CHECK(result == 81);
  });
}

TEST_CASE("a continuation gets the value, the error passes it by") {
  const HardLimit limit;
  CHECK(ready(3).then(square).then([](int x) { return std::to_string(x); }).result() == "9");
  int calls = 0;
  const auto count = [&](int x) {
    ++calls;
    return x;
  };
  CHECK_THROWS_WITH_AS(failed<int>("lost").then(count).then(count).result(), "lost",
                       std::runtime_error);
  CHECK(calls == 0);
  CHECK_THROWS_AS(ready(1).then([](int) -> int { throw std::domain_error("own"); }).result(),
                  std::domain_error);
  Promise<void> nothing;
  const auto after = nothing.future().then([] { return 5; });
  CHECK_FALSE(after.done());
  nothing.set_value();
  CHECK(after.result() == 5);
  int seen = 0;
  const Future<void> none = ready(4).then([&](const int& x) { seen = x; });
  none.result();
  CHECK(seen == 4);
}

TEST_CASE("a continuation that takes the future is called in any case") {
  const HardLimit limit;
  const auto rescue = [](const Future<int>& future) {
    return future.exception() != nullptr ? -1 : future.result();
  };
  CHECK(failed<int>("lost").then(rescue).result() == -1);
  CHECK(ready(7).then(rescue).result() == 7);
  Promise<int> promise;
  const auto future = promise.future();
  const auto rescued = future.then(rescue);
  future.cancel();
  CHECK(rescued.result() == -1);
  Promise<void> nothing;
  const auto text = nothing.future().then(
      [](const Future<void>& done) { return std::string(done.exception() ? "failed" : "done"); });
  nothing.set_exception(std::runtime_error("x"));
  CHECK(text.result() == "failed");
}

TEST_CASE("a continuation that returns a future stands for its result") {
  const HardLimit limit;
  Promise<int> inner;
  std::latch begun(1);
  const Future<int> outer = ready(1).then([&](int) {
    begun.count_down();
    return inner.future();
  });
  begun.wait();
  CHECK_FALSE(outer.wait(20ms));
  inner.set_value(8);
  CHECK(outer.result() == 8);
  CHECK_THROWS_WITH(ready(1).then([](int) { return failed<int>("inner"); }).result(), "inner");
  CHECK_THROWS_AS(ready(1).then([](int) { return Future<int>(); }).result(), BadArgument);
  const Future<void> of_void = ready(1).then([](int) {
    Promise<void> done;
    done.set_value();
    return done.future();
  });
  of_void.result();
}

TEST_CASE("continuations run on another executor") {
  for_each_backend([](On on) {
    const auto executor = make_executor(on, {.max_workers = 1});
    const auto other = make_executor(on, {.max_workers = 1, .retries = 1});
    const Future<std::pair<int, int>> result = executor->submit(square, 3).then(*other, squared_by);
    CHECK(result.result().first == 81);
    CHECK((result.result().second == own_pid()) == (on == On::threads));
    CHECK_THROWS_AS(executor->submit(fail_at, 1, 1).then(*other, square).result(),
                    std::out_of_range);
    CHECK_THROWS_AS(ready(1).then(*other, [](int x) { return fail_at(x, 1); }).result(),
                    std::out_of_range);
    Promise<void> nothing;
    const auto after = nothing.future().then(*other, [] { return 6; });
    nothing.set_value();
    CHECK(after.result() == 6);
    if (on == On::threads) {
      const auto rescued = failed<int>("lost").then(
          *other, [](const Future<int>& future) { return future.exception() != nullptr ? -1 : 1; });
      CHECK(rescued.result() == -1);
    }
    other->shutdown();
    CHECK_THROWS_AS(ready(1).then(*other, square).result(), BadArgument);
  });
}

TEST_CASE("the future of a continuation can be cancelled before it begins") {
  const HardLimit limit;
  Promise<int> promise;
  std::atomic<int> calls{0};
  const auto next = promise.future().then([&](int x) {
    ++calls;
    return x;
  });
  const auto after = next.then([&](int x) {
    ++calls;
    return x;
  });
  CHECK(next.cancel());
  CHECK_THROWS_AS(after.result(), Cancelled);
  CHECK_FALSE(promise.future().done());
  promise.set_value(1);
  flush_callbacks();
  flush_callbacks();
  CHECK(calls == 0);
  CHECK(next.cancelled());
}

TEST_CASE("a long chain of continuations needs no stack") {
  const HardLimit limit;
  Promise<int> promise;
  Future<int> last = promise.future();
  for (int i = 0; i < 20000; ++i) last = last.then([](int x) { return x + 1; });
  promise.set_value(0);
  CHECK(last.result() == 20000);
}

TEST_CASE("when_all gathers the results of some, of a range, and of none") {
  const HardLimit limit;
  Promise<int> number;
  Promise<void> nothing;
  const auto all = when_all(number.future(), ready(std::string("x")), nothing.future());
  CHECK_FALSE(all.done());
  nothing.set_value();
  number.set_value(2);
  CHECK(all.result() == std::tuple(2, std::string("x"), std::monostate()));

  std::vector<Promise<int>> promises(50);
  std::vector<Future<int>> futures;
  for (const auto& promise : promises) futures.push_back(promise.future());
  futures.push_back(futures.front());
  const Future<std::vector<int>> list = when_all(futures);
  for (std::size_t i = 50; i-- > 0;) promises[i].set_value(static_cast<int>(i));
  REQUIRE(list.result().size() == 51);
  for (std::size_t i = 0; i < 50; ++i) CHECK(list.result()[i] == static_cast<int>(i));
  CHECK(list.result().back() == 0);

  CHECK(when_all(std::vector<Future<int>>{}).result().empty());
  CHECK(when_all().result() == std::tuple<>());
  // Nobody else keeps these.
  CHECK(when_all(ready(1), ready(2))
            .then([](const auto& both) { return std::get<0>(both) + std::get<1>(both); })
            .result() == 3);
}

TEST_CASE("when_all fails with the first error at once") {
  const HardLimit limit;
  std::vector<Promise<int>> promises(3);
  std::vector<Future<int>> futures;
  for (const auto& promise : promises) futures.push_back(promise.future());
  const auto list = when_all(futures);
  const auto some = when_all(futures[0], futures[1]);
  promises[1].set_exception(std::runtime_error("one"));
  CHECK_THROWS_WITH(list.result(), "one");
  CHECK_THROWS_WITH(some.result(), "one");
  CHECK_FALSE(futures[0].done());
  promises[0].set_exception(std::runtime_error("zero"));
  promises[2].set_value(2);
  CHECK_THROWS_WITH(list.result(), "one");
  const auto cancelled = when_all(futures[2], Promise<int>().future());
  CHECK_THROWS_AS(cancelled.result(), Cancelled);
  const auto given_up = when_all(futures[2], Promise<int>().future());
  static_cast<void>(given_up.cancel());
  flush_callbacks();
  CHECK_THROWS_AS(given_up.result(), Cancelled);
}

TEST_CASE("cancelling races with setting a result: one of them has happened") {
  const HardLimit limit;
  int set = 0;
  for (int round = 0; round < 1000; ++round) {
    Promise<int> promise;
    const auto future = promise.future();
    std::latch start(2);
    bool cancelled = false;
    {
      const std::jthread canceller([&] {
        start.arrive_and_wait();
        cancelled = future.cancel();
      });
      start.arrive_and_wait();
      set += promise.set_value(round) ? 1 : 0;
    }
    REQUIRE(future.done());
    CHECK(future.cancelled() == cancelled);
    if (!cancelled) CHECK(future.result() == round);
  }
  MESSAGE("results that were set: " << set);
}

TEST_CASE("values live as long as a handle, and callbacks are destroyed after the call") {
  const HardLimit limit;
  auto value = std::make_shared<int>(1);
  auto guard = std::make_shared<int>(2);
  const std::weak_ptr<int> watched_value(value);
  const std::weak_ptr<int> watched_guard(guard);
  {
    Promise<std::shared_ptr<int>> promise;
    auto future = promise.future();
    future.add_done_callback([guard](const auto&) { static_cast<void>(*guard); });
    const auto after = future.then([guard](const std::shared_ptr<int>& x) { return *x + *guard; });
    guard.reset();
    CHECK_FALSE(watched_guard.expired());
    promise.set_value(std::move(value));
    CHECK(after.result() == 3);
    flush_callbacks();
    CHECK(watched_guard.expired());
    CHECK_FALSE(watched_value.expired());
  }
  CHECK(support::within(5s, [&] { return watched_value.expired(); }));
}
