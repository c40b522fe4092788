// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>
#include <hoist/parallel.hpp>
#include <hoist/shared.hpp>
#include <hoist/sync.hpp>

#include <limits>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "support/child.hpp"

using namespace hoist;
using namespace std::chrono_literals;

namespace {

/// How many are between acquire and release, and how many were at most.
struct Room {
  Semaphore seats{2};
  SharedValue<int> inside{0};
  SharedValue<int> most{0};
};

int enter(const Room& room) {
  for (int i = 0; i < 200; ++i) {
    const std::lock_guard seat(room.seats);
    const int now = ++room.inside;
    int most = room.most.get();
    while (now > most && !room.most.compare_exchange(most, now)) {
    }
    --room.inside;
  }
  return 0;
}

}  // namespace

TEST_CASE("a semaphore lets in as many as it counts") {
  for (const std::string backend : {"threads", "fork", "spawn"}) {
    CAPTURE(backend);
    const Room room;
    Parallel({.n_jobs = 4, .backend = backend})(std::vector(4, delayed(enter)(room)));
    CHECK(room.seats.value() == 2);
    CHECK(room.inside.get() == 0);
    CHECK(room.most.get() >= 1);
    CHECK(room.most.get() <= 2);
  }
}

TEST_CASE("acquire waits, try_acquire does not, and time limits are kept") {
  const Semaphore semaphore(2);
  CHECK(semaphore.acquire());
  CHECK(semaphore.try_acquire());
  CHECK_FALSE(semaphore.try_acquire());
  CHECK_FALSE(semaphore.try_acquire_for(20ms));
  CHECK_FALSE(semaphore.try_acquire_until(std::chrono::steady_clock::now() + 20ms));
  CHECK_FALSE(semaphore.acquire(0.02s));
  std::jthread other([&] {
    std::this_thread::sleep_for(20ms);
    semaphore.release();
  });
  semaphore.acquire();
  other.join();
  semaphore.release(2);
  CHECK(semaphore.get_value() == 2);
  CHECK_THROWS_AS(semaphore.release(0), BadArgument);
  CHECK_THROWS_AS(Semaphore(-1), BadArgument);
  // Also by who has acquired nothing.
  semaphore.release(3);
  CHECK(semaphore.value() == 5);
}

TEST_CASE("a bounded semaphore is not released more often than acquired") {
  const BoundedSemaphore semaphore(1);
  CHECK_THROWS_AS(semaphore.release(), BadArgument);
  semaphore.acquire();
  semaphore.release();
  CHECK_THROWS_AS(semaphore.release(), BadArgument);
  CHECK(semaphore.value() == 1);
  for (const std::string backend : {"threads", "fork", "spawn"}) {
    CAPTURE(backend);
    const auto release = [](const BoundedSemaphore& it) { it.release(); };
    CHECK_THROWS_AS(Parallel({.n_jobs = 2, .backend = backend})(delayed(release)(semaphore)),
                    BadArgument);
  }
}

TEST_CASE("what a dead process had acquired is given back") {
  const Semaphore semaphore(3);
  const SharedValue<int> acquired(0);
  support::Child child([&] {
    semaphore.acquire();
    semaphore.acquire();
    acquired.set(1);
    ::pause();
  });
  while (acquired.get() == 0) std::this_thread::yield();
  semaphore.acquire();
  CHECK(semaphore.value() == 0);
  std::jthread killer([&] {
    std::this_thread::sleep_for(20ms);
    child.kill();
  });
  CHECK(semaphore.try_acquire_for(10s));
  killer.join();
  CHECK(semaphore.try_acquire_for(10s));
  semaphore.release(3);
  CHECK(semaphore.value() == 3);
  // Also for those who only ask.
  CHECK(support::Child([&] { semaphore.acquire(); }).wait() == 0);
  CHECK(support::Child([&] { semaphore.acquire(); }).wait() == 0);
  for (int i = 0; i < 3; ++i) CHECK(semaphore.try_acquire());
  CHECK_FALSE(semaphore.try_acquire());
}

TEST_CASE("who releases for another leaves a bounded semaphore within its bound") {
  const BoundedSemaphore semaphore(2);
  const SharedValue<int> step(0);
  support::Child holder([&] {
    semaphore.acquire();
    step.set(1);
    ::pause();
  });
  while (step.get() == 0) std::this_thread::yield();
  semaphore.release();
  CHECK(semaphore.value() == 2);
  holder.kill();
  CHECK(semaphore.try_acquire());
  CHECK(semaphore.try_acquire());
  CHECK_FALSE(semaphore.try_acquire());
  CHECK(semaphore.value() == 0);
}

TEST_CASE("the counter of a semaphore does not overflow") {
  constexpr auto most = std::numeric_limits<std::ptrdiff_t>::max();
  const Semaphore semaphore(most);
  CHECK_THROWS_AS(semaphore.release(), BadArgument);
  semaphore.acquire();
  CHECK_THROWS_AS(semaphore.release(most), BadArgument);
  semaphore.release();
  CHECK(semaphore.value() == most);
  CHECK_THROWS_AS(BoundedSemaphore(1).release(most), BadArgument);
}

TEST_CASE("a semaphore that is not robust keeps what the dead signalled") {
  const Semaphore signals(0, {.robust = false});
  CHECK(support::Child([&] { signals.release(2); }).wait() == 0);
  CHECK(signals.value() == 2);
  CHECK(support::Child([&] { signals.acquire(); }).wait() == 0);
  CHECK(signals.value() == 1);
  CHECK(signals.try_acquire_for(10s));
  CHECK_FALSE(signals.try_acquire_for(120ms));
}

TEST_CASE("a process may die before any store of acquire and release") {
  const Semaphore semaphore(1);
  const int died = support::at_each_store(
      [&] {
        semaphore.acquire();
        semaphore.release();
      },
      [&](int n, int) {
        CAPTURE(n);
        const bool taken = semaphore.try_acquire_for(10s);
        REQUIRE(taken);
        CHECK(semaphore.value() == 0);
        semaphore.release();
        CHECK(semaphore.value() == 1);
      });
  CHECK(died >= 6);
}

TEST_CASE("a killed waiter takes nothing along") {
  const Semaphore semaphore(1);
  semaphore.acquire();
  for (int i = 0; i < 5; ++i) {
    support::Child waiter([&] { semaphore.acquire(); });
    std::this_thread::sleep_for(10ms);
    waiter.kill();
  }
  semaphore.release();
  CHECK(semaphore.try_acquire_for(10s));
  CHECK_FALSE(semaphore.try_acquire());
}
