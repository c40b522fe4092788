// SPDX-License-Identifier: BSD-3-Clause
//
// Processes that use locks, semaphores, conditions and barriers are killed at random moments: the
// others go on, and nothing is left that keeps later ones waiting.
#include <doctest/doctest.h>
#include <hoist/shared.hpp>
#include <hoist/sync.hpp>

#include <memory>
#include <mutex>
#include <random>
#include <thread>
#include <vector>

#include "support/child.hpp"
#include "support/extended.hpp"

using namespace hoist;
using namespace std::chrono_literals;

namespace {

const int rounds = support::extended ? 1000 : 50;
constexpr int processes = 3;

/// Runs `work` in some processes, of which one after the other is killed and replaced.
template <class Work>
void kill_some(const Work& work) {
  std::mt19937 random(7);
  std::vector<std::unique_ptr<support::Child>> children;
  for (int i = 0; i < processes; ++i) children.push_back(std::make_unique<support::Child>(work));
  for (int round = 0; round < rounds; ++round) {
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 5000));
    auto& victim = children[random() % children.size()];
    victim->kill();
    CHECK(victim->wait() == -SIGKILL);
    victim = std::make_unique<support::Child>(work);
  }
  for (const auto& child : children) {
    child->kill();
    CHECK(child->wait() == -SIGKILL);
  }
}

}  // namespace

TEST_CASE("holders of a lock are killed") {
  const Lock lock;
  // The second is written while the lock is held, and so is half done after some deaths.
  const SharedArray<long> both(2, {.lock = false});
  const SharedValue<long> deaths(0);
  const auto work = [&] {
    for (;;) {
      try {
        lock.lock();
      } catch (const OwnerDied&) {
        if (lock.recover()) {
          deaths.fetch_add(1);
          both[1] = both[0];
        }
      }
      if (both[0] != both[1]) ::_exit(2);
      ++both[0];
      ++both[1];
      lock.unlock();
    }
  };
  kill_some(work);
  bool taken = false;
  try {
    taken = lock.try_lock_for(10s);
  } catch (const OwnerDied&) {
    lock.recover();
    taken = true;
    both[1] = both[0];
  }
  CHECK(taken);
  CHECK(both[0] == both[1]);
  CHECK(both[0] > rounds);
  MESSAGE(both[0], " turns, ", deaths.get(), " deaths with the lock held");
}

TEST_CASE("holders of a semaphore are killed") {
  const Semaphore semaphore(2);
  const SharedValue<long> turns(0);
  kill_some([&] {
    for (;;) {
      semaphore.acquire();
      if (semaphore.value() < 0 || semaphore.value() > 1) ::_exit(2);
      turns.fetch_add(1);
      semaphore.release();
    }
  });
  CHECK(turns.get() > rounds);
  CHECK(semaphore.try_acquire_for(10s));
  CHECK(semaphore.try_acquire_for(10s));
  CHECK_FALSE(semaphore.try_acquire());
}

TEST_CASE("those who wait for a condition, and those who notify, are killed") {
  const Condition condition;
  const SharedValue<long> tokens(0, {.lock = false});
  const SharedValue<long> taken(0, {.lock = false});
  const auto lock = [&] {
    try {
      condition.lock();
    } catch (const OwnerDied&) {
      condition.mutex().recover();
    }
  };
  kill_some([&] {
    for (int i = 0;; ++i) {
      lock();
      try {
        if (i % 2 == 0) {
          tokens.fetch_add(1);
          condition.notify_one();
        } else {
          condition.wait([&] { return tokens.get() > 0; });
          tokens.fetch_sub(1);
          taken.fetch_add(1);
        }
      } catch (const OwnerDied&) {
        condition.mutex().recover();
      }
      condition.unlock();
    }
  });
  CHECK(taken.get() > rounds);
  lock();
  tokens.set(1);
  condition.unlock();
  support::Child last([&] {
    lock();
    if (!condition.wait([&] { return tokens.get() > 0; }, 10s)) throw 1;
    condition.unlock();
  });
  CHECK(last.wait_for(20s) == 0);
}

TEST_CASE("parties of a barrier are killed") {
  const Barrier barrier(2);
  const SharedValue<long> passed(0);
  const SharedValue<long> broken(0);
  kill_some([&] {
    for (;;) {
      try {
        barrier.wait(10s);
        passed.fetch_add(1);
      } catch (const BrokenBarrier&) {
        broken.fetch_add(1);
        barrier.reset();
      }
    }
  });
  CHECK(passed.get() + broken.get() > rounds);
  CHECK(passed.get() > 0);
  barrier.reset();
  support::Child partner([&] { barrier.wait(10s); });
  CHECK_NOTHROW(barrier.wait(10s));
  CHECK(partner.wait_for(10s) == 0);
  MESSAGE(passed.get(), " passes, ", broken.get(), " broken");
}
