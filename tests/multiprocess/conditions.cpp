// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>
#include <hoist/parallel.hpp>
#include <hoist/shared.hpp>
#include <hoist/sync.hpp>

#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "support/child.hpp"

using namespace hoist;
using namespace std::chrono_literals;

namespace {

/// Items that are numbers, of which none is taken twice.
struct Store {
  Condition changed;
  SharedArray<int> items{1, {.lock = false}};
};

int produce(const Store& store, int n) {
  for (int i = 0; i < n; ++i) {
    const std::lock_guard held(store.changed);
    ++store.items[0];
    store.changed.notify_one();
  }
  return 0;
}

int consume(const Store& store, int n) {
  for (int i = 0; i < n; ++i) {
    std::unique_lock held(store.changed);
    if (!store.changed.wait([&] { return store.items[0] > 0; }, 20s)) return 0;
    --store.items[0];
  }
  return n;
}

}  // namespace

TEST_CASE("consumers wait for what producers bring, in threads and processes") {
  for (const std::string backend : {"threads", "fork", "spawn"}) {
    CAPTURE(backend);
    const Store store;
    const auto taken = Parallel({.n_jobs = 4, .backend = backend})(
        std::vector{delayed(consume)(store, 500), delayed(consume)(store, 500),
                    delayed(produce)(store, 500), delayed(produce)(store, 500)});
    CHECK(taken == std::vector{500, 500, 0, 0});
    CHECK(store.items[0] == 0);
  }
}

TEST_CASE("a condition is waited for with its lock, which is held again afterwards") {
  const Lock lock;
  const Condition own(lock);
  CHECK_THROWS_WITH_AS(own.wait(), doctest::Contains("does not hold"), BadArgument);
  CHECK_THROWS_AS((void)own.wait(1ms), BadArgument);
  lock.lock();
  CHECK_FALSE(own.wait(20ms));
  CHECK_FALSE(own.wait([] { return false; }, 20ms));
  CHECK(own.wait([] { return true; }, 0ms));
  CHECK(lock.locked());
  lock.unlock();

  // However often it was taken.
  const Condition condition;
  const std::scoped_lock held(condition);
  const std::scoped_lock again(condition);
  std::jthread notifier([&] {
    const std::lock_guard other(condition);
    condition.notify_all();
  });
  CHECK(condition.wait(10s));
  notifier.join();
  std::jthread([&] { CHECK_FALSE(condition.try_lock()); }).join();
}

TEST_CASE("who waits without a limit is woken") {
  const Condition condition;
  const SharedValue<int> waits(0);
  support::Child waiter([&] {
    const std::lock_guard held(condition);
    waits.set(1);
    condition.wait();
  });
  while (waits.get() == 0) std::this_thread::yield();
  // The lock is free as soon as the other waits.
  condition.lock();
  condition.notify_one();
  condition.unlock();
  CHECK(waiter.wait_for(10s) == 0);
}

TEST_CASE("who waits learns of the death of a holder, with the lock held") {
  const Condition condition;
  const SharedValue<int> waits(0);
  std::jthread killer([&] {
    while (waits.get() == 0) std::this_thread::yield();
    support::Child([&] { condition.lock(); }).wait();
    condition.notify_all();
  });
  {
    std::unique_lock held(condition);
    waits.set(1);
    CHECK_THROWS_AS(condition.wait([] { return false; }), OwnerDied);
    CHECK(condition.mutex().locked());
  }
  killer.join();
  CHECK_THROWS_AS(condition.lock(), OwnerDied);
  condition.mutex().recover();
  condition.unlock();
}

// As django-q2 #23 and Koed00/django-q #394 have it of Python: the next in line was killed.
TEST_CASE("a killed waiter strands no other") {
  const Store store{Condition(Lock({.on_owner_death = OwnerDeath::recover}))};
  for (int i = 0; i < 10; ++i) {
    support::Child doomed([&] { consume(store, 1); });
    support::Child other([&] { consume(store, 1); });
    std::this_thread::sleep_for(5ms);
    std::jthread killer([&] { doomed.kill(); });
    produce(store, 1);
    killer.join();
    // One of them has got it; the other gets the next.
    produce(store, 1);
    CHECK(other.wait_for(10s) == 0);
    const std::lock_guard held(store.changed);
    store.items[0] = 0;
  }
}

TEST_CASE("a process may die before any store of a change and its notification") {
  const Store store;
  int made = 0;
  const auto take = [&] {
    try {
      store.changed.lock();
    } catch (const OwnerDied&) {
      store.changed.mutex().recover();
    }
    while (true) {
      try {
        store.changed.wait([&] { return store.items[0] > 0; });
        break;
      } catch (const OwnerDied&) {
        store.changed.mutex().recover();
      }
    }
    store.changed.unlock();
  };
  const auto check = [&](int n, int) {
    CAPTURE(n);
    // What was not notified is seen nevertheless.
    support::Child waiter(take);
    if (store.items[0] > 0) {
      ++made;
    } else {
      std::this_thread::sleep_for(20ms);
      support::Child killed([&] {
        try {
          store.changed.lock();
        } catch (const OwnerDied&) {
          store.changed.mutex().recover();
        }
        ++store.items[0];
        ::raise(SIGKILL);
      });
      CHECK(killed.wait_for(10s) == -SIGKILL);
    }
    CHECK(waiter.wait_for(10s) == 0);
    store.items[0] = 0;
  };
  CHECK(support::at_each_store([&] { produce(store, 1); }, check) >= 4);
  CHECK(made >= 3);
}
