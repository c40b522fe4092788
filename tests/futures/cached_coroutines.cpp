// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/asio.hpp>
#include <hoist/hoist.hpp>

#include <boost/asio.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "support/run_coroutine.hpp"
#include "support/temp_dir.hpp"

namespace {

namespace asio = boost::asio;
using namespace hoist;
using namespace std::chrono_literals;

std::atomic<int> calls{0};
std::atomic<int> failures{0};

asio::awaitable<void> pause(std::chrono::milliseconds time) {
  asio::steady_timer timer(co_await asio::this_coro::executor, time);
  co_await timer.async_wait(asio::use_awaitable);
}

asio::awaitable<std::string> fetch(const std::string& name, int times) {
  ++calls;
  co_await pause(20ms);
  std::string text;
  for (int i = 0; i < times; ++i) text += name;
  co_return text;
}
asio::awaitable<std::unique_ptr<int>> moved(int x) {
  ++calls;
  co_await pause(1ms);
  co_return std::make_unique<int>(x);
}
asio::awaitable<void> nothing(int) {
  ++calls;
  co_await pause(1ms);
}
asio::awaitable<int> fails_first(int x) {
  ++calls;
  co_await pause(10ms);
  if (failures-- > 0) throw std::out_of_range("not yet");
  co_return x;
}
asio::awaitable<int> slow(int x) {
  ++calls;
  co_await pause(10s);
  co_return x;
}

int counted(asio::awaitable<void> task, std::size_t threads = 1) {
  const int before = calls;
  support::run(std::move(task), threads);
  return calls - before;
}

}  // namespace

TEST_CASE("a cached coroutine computes once and is read then, also by other programs' Memory") {
  const support::TempDir dir;
  const Memory memory(dir.path());
  const auto cached = memory.cache(fetch);
  CHECK(counted([&]() -> asio::awaitable<void> {
          CHECK(co_await cached("ab", 2) == "abab");
          CHECK(co_await cached("ab", 2) == "abab");
          CHECK(co_await cached("ab", 1) == "ab");
          // The argument is gone when the awaitable begins.
          auto later = [&] {
            const std::string long_name = "a name that is too long to be kept inside of a string";
            return cached(long_name, 1);
          }();
          const std::string name = co_await std::move(later);
          CHECK(name.size() > 40);
          const auto moves = memory.cache(moved);
          for (int i = 0; i < 2; ++i) {
            const std::unique_ptr<int> seven = co_await moves(7);
            CHECK(*seven == 7);
          }
          const auto none = memory.cache(nothing);
          co_await none(1);
          co_await none(1);
          // Without a location each await computes.
          const auto uncached = Memory().cache(fetch);
          CHECK(co_await uncached("x", 1) == "x");
          CHECK(co_await uncached("x", 1) == "x");
        }()) == 7);
  CHECK(memory.stats().hits == 3);
  CHECK(memory.stats().misses == 5);
  CHECK(cached.check_call_in_cache("ab", 2));
  CHECK(cached.cached_result("ab", 2) == "abab");
  CHECK_FALSE(cached.cached_result("ab", 3).has_value());
  cached.put("given", "ab", 3);
  CHECK(cached.cached_result("ab", 3) == "given");
  CHECK(cached.name().find("fetch") != std::string::npos);
  cached.clear();
  CHECK_FALSE(cached.check_call_in_cache("ab", 2));
}

TEST_CASE("of concurrent awaits one computes") {
  for (const std::size_t threads : {1U, 4U}) {
    const support::TempDir dir;
    const Memory memory(dir.path());
    const auto cached = memory.cache(fetch);
    const auto again = Memory(dir.path()).cache(fetch);  // shares the location
    const auto all = [&]() -> asio::awaitable<void> {
      std::vector<asio::awaitable<std::string>> awaits;
      for (int i = 0; i < 50; ++i) awaits.push_back((i % 2 == 0 ? cached : again)("x", 3));
      for (const std::string& text : co_await gather(std::move(awaits))) CHECK(text == "xxx");
    };
    CHECK(counted(all(), threads) == 1);
    CHECK(counted(all(), threads) == 0);
  }
}

TEST_CASE("a failure goes to the one that computed, and the next one computes") {
  const support::TempDir dir;
  const auto cached = Memory(dir.path()).cache(fails_first);
  failures = 2;
  const int computed = counted([&]() -> asio::awaitable<void> {
    std::vector<asio::awaitable<int>> awaits;
    for (int i = 0; i < 10; ++i) awaits.push_back(cached(5));
    const auto outcomes = co_await gather(std::move(awaits), {.return_exceptions = true});
    int failed = 0;
    for (const auto& outcome : outcomes) failed += outcome.has_value() ? 0 : 1;
    CHECK(failed == 2);
  }());
  CHECK(computed == 3);
}

TEST_CASE("results that can't be stored are computed by each await") {
  const support::TempDir dir;
  support::spill(dir / "file", "");
  const Memory memory(dir / "file/cache", {.on_store_error = OnStoreError::ignore});
  const auto cached = memory.cache(fetch);
  CHECK(counted([&]() -> asio::awaitable<void> {
          std::vector<asio::awaitable<std::string>> awaits;
          for (int i = 0; i < 5; ++i) awaits.push_back(cached("x", 1));
          for (const std::string& text : co_await gather(std::move(awaits))) CHECK(text == "x");
        }()) == 5);
}

TEST_CASE("waits and computations may be cancelled, and contexts end meanwhile") {
  const support::TempDir dir;
  const Memory memory(dir.path());
  const auto cached = memory.cache(slow);
  CHECK(counted([&]() -> asio::awaitable<void> {
          // The first computes, the second waits; the second's end leaves the first alone.
          auto both = [&]() -> asio::awaitable<void> {
            std::vector<asio::awaitable<int>> awaits;
            awaits.push_back(cached(1));
            awaits.push_back(wait_for(cached(1), 20ms));
            const auto ends = co_await gather(std::move(awaits), {.return_exceptions = true});
            CHECK_FALSE(ends[0].has_value());
            CHECK_FALSE(ends[1].has_value());
          };
          try {
            co_await wait_for(both(), 100ms);
          } catch (const TimedOut&) {
          }
        }()) == 1);
  // A context that ends while a coroutine computes and another waits lets a later one compute.
  {
    asio::io_context io;
    for (int i = 0; i < 3; ++i) asio::co_spawn(io, cached(2), asio::detached);
    io.run_for(30ms);
  }
  const auto quick = memory.cache(fails_first);
  failures = 0;
  CHECK(counted([&]() -> asio::awaitable<void> {
          CHECK(co_await quick(9) == 9);
          try {
            (void)co_await wait_for(cached(2), 30ms);
          } catch (const TimedOut&) {
          }
        }()) == 2);
}
