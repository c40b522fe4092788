// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>
#include <hoist/executor.hpp>
#include <hoist/pool.hpp>
#include <hoist/this_task.hpp>

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <thread>
#include <vector>

#include "futures/support.hpp"

using namespace hoist;
using namespace futures;
using namespace std::chrono_literals;

// Who ends, cancels and destroys executors and their calls, and when.

namespace {

int last_long() {
  std::this_thread::sleep_for(1h);
  return 1;
}
bool is_quick(const auto& work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::steady_clock::now() - begin < 20s;
}

}  // namespace

TEST_CASE("a call that another thread waits for can be cancelled, and killed") {
  const HardLimit limit;
  ProcessPoolExecutor executor({.max_workers = 1, .kill_on_cancel = true});
  for (const bool all : {false, true}) {
    CAPTURE(all);
    const auto call = executor.submit(last_long);
    std::atomic<bool> cancelled{false};
    std::jthread waits([&] { cancelled = call.wait(60) && call.cancelled(); });
    std::this_thread::sleep_for(50ms);
    CHECK(is_quick([&] {
      if (all) {
        executor.terminate_workers();
      } else {
        CHECK(call.cancel());
      }
    }));
    waits.join();
    CHECK(cancelled);
  }
}

TEST_CASE("calls may end while their executor cancels what is left") {
  const HardLimit limit;
  for (int round = 0; round < 200; ++round) {
    ThreadPoolExecutor executor({.max_workers = 2});
    std::jthread ends([&] { executor.shutdown({.wait = false, .cancel_futures = true}); });
    try {
      for (int i = 0; i < 1000; ++i) executor.submit([] {});
    } catch (const BadArgument&) {
      // It is shut down.
    }
  }
}

TEST_CASE("a callback may wait for a call that destroys an executor") {
  const HardLimit limit;
  ThreadPoolExecutor executor({.max_workers = 2});
  const auto seven = executor.submit([] { return 1; }).then([&](int) {
    return executor
        .submit([] {
          ThreadPoolExecutor inner({.max_workers = 1});
          return inner.submit([] { return 7; }).result();
        })
        .result();
  });
  CHECK(seven.result() == 7);
}

TEST_CASE("the end of an executor does not wait for callbacks of others") {
  const HardLimit limit;
  Promise<void> gate;
  ThreadPoolExecutor other({.max_workers = 1});
  other.submit([] {}).add_done_callback(
      [future = gate.future()](const Future<void>&) { future.wait(); });
  {
    ThreadPoolExecutor executor({.max_workers = 1});
    CHECK(executor.submit([] { return 1; }).result() == 1);
  }
  gate.set_value();
}

TEST_CASE("an executor may be destroyed by one of its own calls, and can't be waited for in one") {
  const HardLimit limit;
  auto executor = std::make_shared<ThreadPoolExecutor>(ExecutorOptions{.max_workers = 1});
  Promise<void> gate;
  auto last = executor->submit([kept = executor, future = gate.future()] {
    CHECK_THROWS_AS(kept->shutdown(), BadArgument);
    future.wait();
    return 3;
  });
  executor.reset();
  gate.set_value();
  CHECK(last.result() == 3);
}

TEST_CASE("time limits hold in tasks, where calls could be made by the thread that waits") {
  const HardLimit limit;
  ThreadPoolExecutor executor({.max_workers = 1});
  executor
      .submit([&] {
        const auto inner = executor.submit([] { return this_task().index; });
        CHECK_FALSE(inner.wait(0));
        CHECK_THROWS_AS(inner.result(20ms), TimedOut);
        CHECK(wait(std::vector{inner}, ReturnWhen::all_completed, 20ms).done.empty());
        // It is made here, as a task of its own.
        CHECK(inner.result() == this_task().index + 1);
      })
      .result();
}

TEST_CASE("cancellation is passed on") {
  Promise<int> promise;
  const auto first = promise.future();
  const auto then = first.then([](int x) { return x; });
  const auto all = when_all(first, first);
  CHECK(first.cancel());
  CHECK_THROWS_AS(then.result(), Cancelled);
  CHECK(then.cancelled());
  CHECK_THROWS_AS(all.result(), Cancelled);
  CHECK(all.cancelled());
}

TEST_CASE("a call that is cancelled frees its arguments at once") {
  ThreadPoolExecutor executor({.max_workers = 1});
  Promise<void> gate;
  const auto blocked = executor.submit([future = gate.future()] { future.wait(); });
  const auto held = std::make_shared<int>(1);
  const auto queued = executor.submit([](const std::shared_ptr<int>& x) { return *x; }, held);
  CHECK(held.use_count() == 2);
  CHECK(queued.cancel());
  CHECK(held.use_count() == 1);
  gate.set_value();
  blocked.result();
}

TEST_CASE("handles and promises that were moved from say so") {
  Promise<int> promise;
  Promise<int> other = std::move(promise);
  CHECK_THROWS_AS(promise.set_value(1), BadArgument);    // NOLINT: what is moved from says so
  CHECK_THROWS_AS((void)promise.future(), BadArgument);  // NOLINT
  CHECK(other.set_value(1));
  auto future = other.future();
  CHECK(std::move(future).result() == 1);
  CHECK_FALSE(future.valid());  // NOLINT
}

TEST_CASE("a promise may be destroyed by who waits for it") {
  const HardLimit limit;
  for (int round = 0; round < 1000; ++round) {
    auto promise = std::make_unique<Promise<int>>();
    auto future = promise->future();
    std::jthread sets([&set = *promise] { set.set_value(1); });
    CHECK(std::move(future).result() == 1);
    promise.reset();
    sets.join();
  }
}

TEST_CASE("what a forked child has of its parent's futures is cancelled, also what follows them") {
  const HardLimit limit;
  ThreadPoolExecutor executor({.max_workers = 1});
  Promise<void> gate;
  const auto call = executor.submit([future = gate.future()] {
    future.wait();
    return 1;
  });
  const auto then = call.then([](int x) { return x; });
  const auto all = when_all(call, call);
  const pid_t child = ::fork();
  if (child == 0) {
    const auto is_cancelled = [](const auto& future) {
      try {
        future.result();
      } catch (const Cancelled&) {
        return true;
      }
      return false;
    };
    const bool right = is_cancelled(then) && is_cancelled(all) && is_cancelled(call) &&
                       executor.submit([] { return 5; }).result() == 5;
    ::_exit(right ? 0 : 1);
  }
  int status = 0;
  CHECK(::waitpid(child, &status, 0) == child);
  CHECK(status == 0);
  gate.set_value();
  CHECK(then.result() == 1);
}
