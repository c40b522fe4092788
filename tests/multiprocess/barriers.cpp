// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>
#include <hoist/parallel.hpp>
#include <hoist/process.hpp>
#include <hoist/shared.hpp>
#include <hoist/sync.hpp>

#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "os/process_end.hpp"
#include "support/child.hpp"
#include "support/sanitized.hpp"

using namespace hoist;
using namespace std::chrono_literals;

namespace {

/// The places of one party in many rounds.
std::vector<std::ptrdiff_t> pass(const Barrier& barrier, int rounds) {
  std::vector<std::ptrdiff_t> places;
  for (int i = 0; i < rounds; ++i) places.push_back(barrier.wait(20s));
  return places;
}

/// It travels, unlike a lambda that captures a handle.
struct AddOne {
  SharedValue<int> to;
  void operator()() const { to.fetch_add(1); }
};

}  // namespace

TEST_CASE("in each round every party of a barrier gets another place") {
  for (const std::string backend : {"threads", "fork", "spawn"}) {
    CAPTURE(backend);
    const Barrier barrier(3);
    const auto places =
        Parallel({.n_jobs = 3, .backend = backend})(std::vector(3, delayed(pass)(barrier, 300)));
    bool distinct = true;
    for (std::size_t i = 0; i < 300; ++i) {
      std::vector<std::ptrdiff_t> round{places[0][i], places[1][i], places[2][i]};
      std::ranges::sort(round);
      distinct = distinct && round == std::vector<std::ptrdiff_t>{0, 1, 2};
    }
    CHECK(distinct);
    CHECK(barrier.n_waiting() == 0);
    CHECK_FALSE(barrier.broken());
  }
}

TEST_CASE("a barrier breaks at a time limit and by abort, and is as new after reset") {
  const Barrier barrier(2);
  CHECK(barrier.parties() == 2);
  const auto is_broken_for_other = [&](auto&& action) {
    bool broken = false;
    std::jthread other([&] {
      try {
        barrier.wait();
      } catch (const BrokenBarrier&) {
        broken = true;
      }
    });
    while (barrier.n_waiting() == 0) std::this_thread::yield();
    action();
    other.join();
    return broken;
  };
  CHECK_THROWS_AS(barrier.wait(20ms), BrokenBarrier);
  CHECK(barrier.broken());
  CHECK_THROWS_AS(barrier.wait(), BrokenBarrier);
  barrier.reset();
  CHECK_FALSE(barrier.broken());
  CHECK(is_broken_for_other([&] { barrier.abort(); }));
  barrier.reset();
  CHECK(is_broken_for_other([&] { barrier.reset(); }));
  CHECK_FALSE(barrier.broken());
  std::jthread other([&] { barrier.wait(10s); });
  CHECK_NOTHROW(barrier.wait(10s));
  other.join();
  CHECK(Barrier(1).wait() == 0);
  CHECK_THROWS_AS(Barrier(0), BadArgument);
}

TEST_CASE("a party that dies while it waits, or before it comes again, breaks the barrier") {
  for (const bool waits : {true, false}) {
    CAPTURE(waits);
    const Barrier barrier(waits ? 3 : 2);
    const SharedValue<int> passed(0);
    support::Child party([&] {
      barrier.wait();
      passed.set(1);
      ::pause();
    });
    if (waits) {
      while (barrier.n_waiting() == 0) std::this_thread::yield();
    } else {
      barrier.wait(10s);
      while (passed.get() == 0) std::this_thread::yield();
    }
    std::jthread killer([&] {
      std::this_thread::sleep_for(20ms);
      party.kill();
    });
    CHECK_THROWS_AS(barrier.wait(20s), BrokenBarrier);
    killer.join();
    barrier.reset();
    std::vector<std::jthread> others;
    for (int i = 1; i < barrier.parties(); ++i) others.emplace_back([&] { barrier.wait(10s); });
    CHECK_NOTHROW(barrier.wait(10s));
    for (std::jthread& other : others) other.join();
  }
}

TEST_CASE("processes that end in order, and tasks that are done, break nothing") {
  const Barrier barrier(2);
  const auto once = [](const Barrier& it) { return static_cast<int>(it.wait(10s)); };
  for (const std::string backend : {"fork", "spawn", "threads"}) {
    CAPTURE(backend);
    for (int i = 0; i < 3; ++i) {
      const auto places = Parallel({.n_jobs = 2, .backend = backend, .workers = {.max_tasks = 1}})(
          std::vector(2, delayed(once)(barrier)));
      CHECK(places[0] + places[1] == 1);
      // Longer than others look for the dead.
      support::Child late([&] {
        std::this_thread::sleep_for(120ms);
        barrier.wait(10s);
        // In order; but a leak sanitizer would complain of what the child has inherited.
        if (!support::sanitized) std::exit(0);
        hoist::detail::os::run_process_end();
      });
      CHECK_NOTHROW(barrier.wait(10s));
      CHECK(late.wait_for(10s) == 0);
    }
  }
  CHECK_FALSE(barrier.broken());
}

TEST_CASE("a worker that got a barrier is missed even before its first wait") {
  const Barrier barrier(2);
  const auto die = [](const Barrier& it) {
    if (it.parties() == 2) ::raise(SIGKILL);
  };
  support::Child partner([&] {
    try {
      barrier.wait(20s);
    } catch (const BrokenBarrier&) {
      ::_exit(7);
    }
  });
  CHECK_THROWS_AS(Parallel({.n_jobs = 2, .backend = "spawn"})(delayed(die)(barrier)), WorkerDied);
  CHECK(partner.wait_for(10s) == 7);
}

TEST_CASE("BrokenBarrier arrives from tasks as itself") {
  const Barrier barrier(2);
  barrier.abort();
  for (const std::string backend : {"threads", "fork", "spawn"}) {
    CAPTURE(backend);
    const auto wait = [](const Barrier& it) { it.wait(); };
    CHECK_THROWS_AS(Parallel({.n_jobs = 2, .backend = backend})(delayed(wait)(barrier)),
                    BrokenBarrier);
  }
}

TEST_CASE("a party may die before any store of a pass") {
  const Barrier barrier(2);
  const auto wait_for_partner = [&] {
    while (barrier.n_waiting() == 0) std::this_thread::yield();
  };
  for (const bool comes_last : {false, true}) {
    CAPTURE(comes_last);
    int died = 0;
    for (bool dies = true; dies;) {
      CAPTURE(died);
      barrier.reset();
      support::Child doomed([&] {
        if (comes_last) wait_for_partner();
        support::die_before_store(died);
        barrier.wait(10s);
      });
      // It passes with the doomed one or finds that it has died, before or behind it.
      support::Child partner([&] {
        for (int i = 0; !comes_last && i < 200 && barrier.n_waiting() == 0; ++i) {
          std::this_thread::sleep_for(1ms);
        }
        try {
          barrier.wait(500ms);
        } catch (const BrokenBarrier&) {
        }
      });
      CHECK(partner.wait_for(10s) == 0);
      dies = doomed.wait_for(10s) == -SIGKILL;
      died += dies ? 1 : 0;
    }
    CHECK(died >= (comes_last ? 6 : 4));
  }
}

TEST_CASE("the action of a barrier is done once in each round, before anybody goes on") {
  const SharedValue<int> done(0);
  const Barrier barrier(3, [done] {
    std::this_thread::sleep_for(5ms);
    done.fetch_add(1);
  });
  std::vector<std::unique_ptr<support::Child>> children;
  for (int i = 0; i < 2; ++i) {
    children.push_back(std::make_unique<support::Child>([&] {
      for (int round = 1; round <= 20; ++round) {
        barrier.wait();
        if (done.get() < round) throw 1;
      }
    }));
  }
  for (int round = 1; round <= 20; ++round) {
    barrier.wait(30s);
    CHECK(done.get() >= round);
  }
  for (const auto& child : children) CHECK(child->wait_for(20s) == 0);
  CHECK(done.get() == 20);
}

TEST_CASE("an action goes along with its barrier") {
  const SharedValue<int> done(0);
  const Barrier barrier(2, AddOne{done});
  Process other(
      {.start_method = StartMethod::spawn}, [](const Barrier& it) { it.wait(); }, barrier);
  other.start();
  barrier.wait(30s);
  other.join();
  CHECK(other.exitcode() == 0);
  CHECK(done.get() == 1);
}

TEST_CASE("a barrier breaks whose action fails, or with whom it dies") {
  const Barrier fails(1, [] { throw std::out_of_range("no"); });
  CHECK_THROWS_AS(fails.wait(), std::out_of_range);
  CHECK(fails.broken());
  const Barrier dies(2, [] { ::kill(::getpid(), SIGKILL); });
  std::jthread waits([&] { CHECK_THROWS_AS(dies.wait(), BrokenBarrier); });
  while (dies.n_waiting() == 0) std::this_thread::yield();
  support::Child last([&] { dies.wait(); });
  waits.join();
  CHECK(last.wait_for(10s) == -SIGKILL);
}

TEST_CASE("a party that was killed while it waited is missed by the last to come") {
  // It was counted, and the round was over before anybody had looked.
  const Barrier barrier(2);
  support::Child first([&] { barrier.wait(); });
  while (barrier.n_waiting() == 0) std::this_thread::sleep_for(1ms);
  first.kill();
  std::this_thread::sleep_for(5ms);
  CHECK_THROWS_AS(barrier.wait(10s), BrokenBarrier);
}

TEST_CASE("who comes while the action of a barrier runs is of the next round") {
  const SharedValue<int> running(0);
  const Barrier barrier(2, [running] {
    running.set(1);
    std::this_thread::sleep_for(200ms);
    running.set(0);
  });
  std::vector<std::jthread> first;
  for (int i = 0; i < 2; ++i) first.emplace_back([&] { CHECK(barrier.wait(20s) < 2); });
  while (running.get() == 0) std::this_thread::yield();
  std::jthread next([&] {
    CHECK(barrier.wait(20s) == 0);
    CHECK(running.get() == 0);
  });
  first.clear();
  while (barrier.n_waiting() == 0) std::this_thread::yield();
  CHECK(barrier.wait(20s) == 1);
}

TEST_CASE("children that are forked while a thread waits at a barrier use it themselves") {
  const Barrier barrier(1);
  std::jthread waits([&](const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      try {
        barrier.wait();
      } catch (const BrokenBarrier&) {
        barrier.reset();
      }
    }
  });
  for (int i = 0; i < 100; ++i) {
    support::Child child([&] {
      try {
        barrier.wait();
      } catch (const BrokenBarrier&) {
      }
    });
    REQUIRE(child.wait_for(10s) == 0);
  }
}
