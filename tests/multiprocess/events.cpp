// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>
#include <hoist/parallel.hpp>
#include <hoist/shared.hpp>
#include <hoist/sync.hpp>

#include <string>
#include <thread>
#include <vector>

#include "support/child.hpp"

using namespace hoist;
using namespace std::chrono_literals;

namespace {

int wait_for_it(const Event& event) { return event.wait(20s) ? 1 : 0; }

}  // namespace

TEST_CASE("an event wakes all who wait for it, in threads and processes") {
  for (const std::string backend : {"threads", "fork", "spawn"}) {
    CAPTURE(backend);
    const Event event;
    support::Child setter([&] {
      std::this_thread::sleep_for(50ms);
      event.set();
    });
    const auto woken =
        Parallel({.n_jobs = 3, .backend = backend})(std::vector(3, delayed(wait_for_it)(event)));
    CHECK(setter.wait() == 0);
    CHECK(woken == std::vector{1, 1, 1});
    CHECK(event.is_set());
  }
}

TEST_CASE("an event stays set until it is cleared") {
  const Event event;
  CHECK_FALSE(event.is_set());
  CHECK_FALSE(event.wait(20ms));
  CHECK_FALSE(event.wait(-1s));
  event.set();
  event.set();
  event.wait();
  CHECK(event.wait(0s));
  event.clear();
  CHECK_FALSE(event.wait(1ms));
}

TEST_CASE("who waits is woken even if the event is cleared at once") {
  const Event event;
  const Barrier ready(2);
  support::Child waiter([&] {
    ready.wait();
    event.wait();
  });
  ready.wait();
  std::this_thread::sleep_for(50ms);
  event.set();
  event.clear();
  CHECK(waiter.wait_for(10s) == 0);
  CHECK_FALSE(event.is_set());
}

// As CroatianMeteorNetwork/RMS PR #935 has it of Python: set() waited for a dead waiter.
TEST_CASE("killed waiters keep nobody from setting the event, nor others from seeing it") {
  const Event event;
  for (int i = 0; i < 10; ++i) {
    support::Child waiter([&] { event.wait(); });
    std::this_thread::sleep_for(5ms);
    waiter.kill();
  }
  support::Child other([&] { event.wait(); });
  std::this_thread::sleep_for(5ms);
  event.set();
  CHECK(other.wait_for(10s) == 0);
}

TEST_CASE("a process may die before any store of set") {
  const Event event;
  const int died = support::at_each_store([&] { event.set(); },
                                          [&](int n, int) {
                                            CAPTURE(n);
                                            if (n == 0) {
                                              CHECK_FALSE(event.is_set());
                                              return;
                                            }
                                            // Set, even if nobody was woken: who sleeps finds out.
                                            CHECK(event.wait(10s));
                                          });
  CHECK(died == 2);
  event.clear();
  support::Child waiter([&] { event.wait(); });
  std::this_thread::sleep_for(20ms);
  support::Child setter([&] {
    support::die_before_store(1);
    event.set();
  });
  CHECK(setter.wait_for(10s) == -SIGKILL);
  CHECK(waiter.wait_for(10s) == 0);
}
