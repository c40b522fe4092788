// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>
#include <hoist/dump.hpp>
#include <hoist/hash.hpp>
#include <hoist/lock.hpp>
#include <hoist/memory.hpp>
#include <hoist/parallel.hpp>
#include <hoist/share.hpp>
#include <hoist/shared.hpp>

#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "support/child.hpp"
#include "support/temp_dir.hpp"

using namespace hoist;
using namespace std::chrono_literals;

namespace {

const std::vector<std::string> all_backends = {"sequential", "threads", "fork", "spawn"};

struct Counter {
  Lock lock;
  SharedArray<long> count{1, {.lock = false}};
};

int count_up(const Counter& counter, int times) {
  for (int i = 0; i < times; ++i) {
    const std::lock_guard held(counter.lock);
    counter.count[0] = counter.count[0] + 1;
  }
  return times;
}

/// In another thread, which holds nothing.
template <class F>
auto elsewhere(const F& f) {
  decltype(f()) result{};
  std::jthread([&] { result = f(); }).join();
  return result;
}

}  // namespace

TEST_CASE("a lock keeps out others in threads and in processes") {
  for (const std::string& backend : all_backends) {
    CAPTURE(backend);
    const Counter counter;
    const Parallel parallel({.n_jobs = 2, .backend = backend});
    const std::vector calls(6, delayed(count_up)(counter, 2000));
    parallel(calls);
    CHECK(counter.count[0] == 12000);
    // By itself, and in a container.
    const auto hold = [](const Lock& lock, const std::vector<RLock>& more) {
      const std::scoped_lock held(lock, more[0]);
      return lock.locked() && more[0].locked();
    };
    CHECK(std::get<0>(parallel(delayed(hold)(counter.lock, std::vector<RLock>(2)))));
    CHECK_FALSE(counter.lock.locked());
  }
}

TEST_CASE("tasks may take locks by reference, and write to what is shared") {
  const auto take = [](RLock& lock, SharedArray<int>& numbers) {
    const std::lock_guard held(lock);
    numbers[0] += 1;
  };
  for (const std::string& backend : all_backends) {
    CAPTURE(backend);
    RLock lock;
    SharedArray<int> numbers({1, 2});
    const Parallel parallel({.n_jobs = 2, .backend = backend});
    parallel(delayed(take)(lock, numbers), delayed(take)(std::ref(lock), std::ref(numbers)));
    CHECK(numbers[0] == 3);
  }
}

TEST_CASE("a lock whose last handle goes while it is held harms no other") {
  for (int i = 0; i < 3; ++i) {
    {
      const Lock lost;
      lost.lock();
    }
    const Lock lock;
    const std::lock_guard held(lock);
    CHECK(support::Child([&] {
            const Lock own;
            const std::lock_guard also(own);
          }).wait() == 0);
  }
}

TEST_CASE("a task may return a lock, which is the one it was") {
  for (const std::string& backend : all_backends) {
    CAPTURE(backend);
    const Lock mine;
    const Parallel parallel({.n_jobs = 2, .backend = backend});
    const auto locks = parallel(std::vector{delayed([](const Lock& lock) { return lock; })(mine)});
    locks[0].lock();
    CHECK(mine.locked());
    mine.unlock();
    CHECK_FALSE(locks[0].locked());
    const auto made = parallel(std::vector{delayed([] { return Lock(); })()});
    CHECK(made[0].try_lock());
    made[0].unlock();
  }
}

TEST_CASE("locks are Lockable and TimedLockable, and have Python's names") {
  const Lock lock;
  {
    std::unique_lock held(lock);
    CHECK(held.owns_lock());
    CHECK_FALSE(elsewhere([&] { return lock.try_lock(); }));
    CHECK_FALSE(elsewhere([&] { return lock.try_lock_for(20ms); }));
    CHECK_FALSE(elsewhere([&] { return lock.try_lock_for(-1h); }));
    CHECK_FALSE(elsewhere(
        [&] { return lock.try_lock_until(std::chrono::system_clock::time_point::min()); }));
    CHECK_FALSE(
        elsewhere([&] { return lock.try_lock_until(std::chrono::system_clock::now() + 20ms); }));
    CHECK_FALSE(elsewhere([&] { return lock.acquire(0.02s); }));
    CHECK_FALSE(elsewhere([&] { return lock.acquire(false); }));
    CHECK_FALSE(lock.try_lock());
    CHECK_THROWS_WITH_AS(lock.lock(), doctest::Contains("RLock"), BadArgument);
  }
  CHECK(lock.acquire());
  lock.release();
  CHECK(lock.try_lock_for(std::chrono::hours::max()));
  lock.unlock();
  CHECK_THROWS_AS(lock.unlock(), BadArgument);
  lock.lock();
  CHECK(elsewhere([&] {
    try {
      lock.unlock();
    } catch (const BadArgument&) {
      return true;
    }
    return false;
  }));
  lock.unlock();
}

TEST_CASE("the holder of an RLock takes it again") {
  const RLock lock;
  lock.lock();
  CHECK(lock.try_lock());
  CHECK(lock.try_lock_for(1ms));
  lock.unlock();
  lock.unlock();
  CHECK_FALSE(elsewhere([&] { return lock.try_lock(); }));
  lock.unlock();
  CHECK_THROWS_AS(lock.unlock(), BadArgument);
  CHECK(elsewhere([&] {
    const bool taken = lock.try_lock();
    if (taken) lock.unlock();
    return taken;
  }));
}

TEST_CASE("after the death of its holder a lock is poisoned until it is recovered") {
  const RLock recursive;
  const Lock simple;
  const auto check = [](const auto& lock) {
    const SharedValue<int> taken(0);
    const auto before = std::chrono::system_clock::now();
    support::Child child([&] {
      lock.lock();
      taken.set(1);
      ::pause();
    });
    while (taken.get() == 0) std::this_thread::yield();
    std::jthread killer([&] {
      std::this_thread::sleep_for(20ms);
      child.kill();
    });
    // Who waits is told at once, and so is everybody after it, here and in other processes.
    for (int i = 0; i < 2; ++i) {
      try {
        lock.lock();
        FAIL("the lock was taken");
      } catch (const OwnerDied& error) {
        CHECK(error.pid() == child.pid());
        CHECK(error.when() >= before);
        CHECK(std::string(error.what()).find(std::to_string(child.pid())) != std::string::npos);
      }
    }
    killer.join();
    CHECK_THROWS_AS((void)lock.try_lock(), OwnerDied);
    CHECK_THROWS_AS((void)lock.try_lock_for(1ms), OwnerDied);
    CHECK(support::Child([&] { lock.lock(); }).wait() == 1);
    CHECK_FALSE(lock.locked());
    CHECK(lock.recover());
    CHECK(lock.held());
    CHECK_FALSE(elsewhere([&] { return lock.try_lock(); }));
    lock.unlock();
    CHECK_FALSE(lock.recover());
    lock.unlock();
    const std::lock_guard held(lock);
  };
  check(simple);
  check(recursive);
}

TEST_CASE("a death is forgiven where the options say so, and where nothing was held") {
  const Lock lock({.on_owner_death = OwnerDeath::recover});
  CHECK(support::Child([&] { lock.lock(); }).wait() == 0);
  lock.lock();
  lock.unlock();
  const Lock other;
  CHECK(support::Child([&] { const std::lock_guard held(other); }).wait() == 0);
  other.lock();
  other.unlock();
  // Also of a thread.
  std::jthread([&] { other.lock(); }).join();
  CHECK_THROWS_AS(other.lock(), OwnerDied);
}

TEST_CASE("OwnerDied arrives from tasks as itself") {
  const Lock lock;
  support::Child child([&] { lock.lock(); });
  child.wait();
  for (const std::string& backend : all_backends) {
    CAPTURE(backend);
    try {
      Parallel({.n_jobs = 2, .backend = backend})(delayed([](const Lock& it) { it.lock(); })(lock));
      FAIL("the lock was taken");
    } catch (const OwnerDied& error) {
      CHECK(error.pid() == child.pid());
      CHECK(error.when().time_since_epoch().count() > 0);
    }
  }
}

TEST_CASE("a process may die before any store of lock and unlock") {
  for (const OwnerDeath policy : {OwnerDeath::poison, OwnerDeath::recover}) {
    const Lock lock({.on_owner_death = policy});
    int poisoned = 0;
    const int died = support::at_each_store(
        [&] {
          lock.lock();
          lock.unlock();
        },
        [&](int n, int pid) {
          CAPTURE(n);
          try {
            const bool taken = lock.try_lock_for(10s);
            REQUIRE(taken);
          } catch (const OwnerDied& error) {
            CHECK(error.pid() == pid);
            ++poisoned;
            lock.recover();
          }
          lock.unlock();
        });
    CHECK(died >= 3);
    // Only if it died with its own work to do, not while it took or released the lock.
    CHECK(poisoned == (policy == OwnerDeath::poison ? 1 : 0));
  }
}

TEST_CASE("a process may die while it recovers from the death of another") {
  const Lock lock;
  for (int n = 0; n < 8; ++n) {
    CAPTURE(n);
    support::Child holder([&] { lock.lock(); });
    const int first = holder.wait() == 0 ? holder.pid() : 0;
    support::Child finder([&] {
      support::die_before_store(n);
      lock.recover();
      lock.unlock();
    });
    finder.wait();
    try {
      const bool taken = lock.try_lock_for(10s);
      REQUIRE(taken);
    } catch (const OwnerDied& error) {
      CHECK((error.pid() == first || error.pid() == finder.pid()));
      lock.recover();
    }
    lock.unlock();
  }
}

TEST_CASE("locks are no values") {
  const support::TempDir dir;
  const Counter counter;
  CHECK_THROWS_AS(dump(counter, dir / "a.hoist"), CannotTravel);
  CHECK_THROWS_AS((void)hash(counter), CannotTravel);
  CHECK_THROWS_AS((void)hash(Lock()), CannotTravel);
  CHECK_THROWS_AS((void)share(counter), CannotTravel);
  const Memory memory(dir / "cache");
  const auto make = [](int) { return Lock(); };
  CHECK((void(memory.cache(make)(1)), memory.stats().errors == 1));
  const auto use = [](const Lock&) { return 1; };
  CHECK_THROWS_AS((void)memory.cache(use)(Lock()), CannotTravel);
}
