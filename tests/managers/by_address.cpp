// SPDX-License-Identifier: BSD-3-Clause
//
// Queues, locks and the like of a manager are used by processes that have connected by its address,
// which share no memory with the server; they are killed, and missed as if they did.
#include <doctest/doctest.h>
#include <hoist/manager.hpp>
#include <hoist/process.hpp>

#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <functional>
#include <mutex>
#include <source_location>
#include <string>
#include <thread>
#include <vector>

#include "support/child.hpp"
#include "support/processes.hpp"

using namespace hoist;
using namespace std::chrono_literals;

namespace {

const std::string key = "a key for these tests";

/// In a child.
void check(bool is_right, const std::source_location where = std::source_location::current()) {
  if (is_right) return;
  std::fprintf(stderr, "line %u is wrong\n", static_cast<unsigned>(where.line()));
  throw 1;
}

/// A child that uses the manager by its address only.
class Client : public support::Child {
 public:
  Client(const Manager& manager, const std::function<void(const Manager& there)>& work)
      : Child([address = manager.address(), &work] {
          work(Manager::connect({.address = address, .authkey = key}));
        }) {}
};

/// How many children the server has.
std::size_t agents(const Manager& manager) {
  return manager.value(0).call([](int&) { return support::child_processes(); });
}

template <class Condition>
bool soon(const Condition& condition) {
  for (int i = 0; i < 2000; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(10ms);
  }
  return false;
}

template <class E>
bool throws(const std::function<void()>& call) {
  try {
    call();
  } catch (const E&) {
    return true;
  }
  return false;
}

struct Somewhere {
  Manager manager{ManagerOptions{.address = "127.0.0.1:0", .authkey = key}};
  NamespaceProxy names = manager.names();
};

}  // namespace

TEST_CASE("clients by address find what others have made, and use its queues") {
  const Somewhere at;
  const auto jobs = at.manager.joinable_queue<std::string>(2);
  at.names.set("jobs", jobs);
  at.names.set("results", at.manager.queue<std::size_t>());
  const auto work = [](const Manager& there) {
    const auto todo = there.names().get<JoinableQueueProxy<std::string>>("jobs");
    const auto results = there.names().get<QueueProxy<std::size_t>>("results");
    for (const std::string& job : todo) {
      results.put(job.size());
      todo.task_done();
    }
    check(throws<Closed>([&] { todo.put("late"); }));
    check(throws<BadArgument>([&] { todo.here(); }));
    const auto own = there.queue<std::vector<double>>(1);
    check(throws<Empty>([&] { own.get(20ms); }) && !own.try_get() && own.empty());
    own.put(std::vector<double>(500'000, 2.5));
    check(own.full() && !own.try_put({}) && throws<Full>([&] { own.put({}, 20ms); }));
    check(own.get() == std::vector<double>(500'000, 2.5));
  };
  Client one(at.manager, work);
  Client two(at.manager, work);
  for (std::size_t i = 0; i < 20; ++i) jobs.put(std::string(i, 'j'));
  CHECK(jobs.join(30s));
  const auto results = at.names.get<QueueProxy<std::size_t>>("results");
  std::size_t sum = 0;
  for (int i = 0; i < 20; ++i) sum += results.get(10s);
  CHECK(sum == 190);
  jobs.close();
  CHECK(one.wait_for(30s) == 0);
  CHECK(two.wait_for(30s) == 0);
  CHECK(soon([&] { return agents(at.manager) == 0; }));
}

TEST_CASE("an item is not lost with a client that waits for one, nor a task with one that has it") {
  const Somewhere at;
  const auto queue = at.manager.joinable_queue<int>();
  at.names.set("queue", queue);
  const auto waits = at.manager.event();
  at.names.set("waits", waits);
  Client client(at.manager, [](const Manager& there) {
    const auto items = there.names().get<JoinableQueueProxy<int>>("queue");
    check(items.get() == 1);
    there.names().get<EventProxy>("waits").set();
    items.get();
  });
  queue.put(1);
  CHECK(waits.wait(30s));
  std::this_thread::sleep_for(50ms);
  client.kill();
  CHECK(soon([&] { return agents(at.manager) == 0; }));
  CHECK(throws<OwnerDied>([&] { queue.join(20s); }));
  queue.put(2);
  CHECK(queue.get(10s) == 2);
}

TEST_CASE("locks know their holders far away") {
  const Somewhere at;
  const auto lock = at.manager.lock();
  const auto semaphore = at.manager.semaphore(2);
  const auto event = at.manager.event();
  at.names.set("lock", lock);
  at.names.set("semaphore", semaphore);
  at.names.set("event", event);
  Client client(at.manager, [](const Manager& there) {
    const auto own = there.names().get<LockProxy<Lock>>("lock");
    const auto both = there.names().get<SemaphoreProxy<Semaphore>>("semaphore");
    const auto again = there.rlock();
    {
      const std::scoped_lock twice(again, again);
      check(again.held());
      // A lock belongs to a thread.
      std::jthread([&] { check(!again.try_lock() && !again.held()); }).join();
    }
    check(!again.locked());
    check(throws<BadArgument>([&] { again.unlock(); }));
    own.lock();
    check(throws<BadArgument>([&] { own.lock(); }));
    both.acquire();
    both.acquire();
    check(!both.try_acquire() && both.value() == 0);
    there.names().get<EventProxy>("event").set();
    ::pause();
  });
  CHECK(event.wait(30s));
  CHECK_FALSE(lock.try_lock());
  CHECK(semaphore.value() == 0);
  client.kill();
  CHECK(throws<OwnerDied>([&] { lock.lock(); }));
  CHECK(lock.recover());
  lock.unlock();
  CHECK(semaphore.try_acquire_for(20s));
  CHECK(semaphore.try_acquire_for(20s));
}

TEST_CASE("a thread of a client that ends with a lock is missed, too") {
  const Somewhere at;
  const auto lock = at.manager.lock();
  at.names.set("lock", lock);
  Client client(at.manager, [](const Manager& there) {
    const auto own = there.names().get<LockProxy<Lock>>("lock");
    std::jthread([&] { own.lock(); }).join();
    check(throws<OwnerDied>([&] { own.lock(); }));
    check(own.recover());
    own.unlock();
  });
  CHECK(client.wait_for(30s) == 0);
  CHECK(lock.try_lock());
}

TEST_CASE("conditions and barriers reach as far as the manager") {
  const Somewhere at;
  const auto condition = at.manager.condition();
  const auto barrier = at.manager.barrier(2);
  const auto ready = at.manager.value(0);
  at.names.set("condition", condition);
  at.names.set("barrier", barrier);
  at.names.set("ready", ready);
  Client client(at.manager, [](const Manager& there) {
    const auto changed = there.names().get<ConditionProxy>("condition");
    const auto number = there.names().get<ValueProxy<int>>("ready");
    const auto parties = there.names().get<BarrierProxy>("barrier");
    {
      const std::unique_lock held(changed);
      changed.wait([&] { return number.get() == 1; });
      check(!changed.wait([&] { return number.get() == 2; }, 100ms));
    }
    check(parties.parties() == 2);
    parties.wait();
    // The other side has not come yet when this is killed.
    parties.wait();
  });
  {
    const std::scoped_lock held(condition);
    ready.set(1);
    condition.notify_all();
  }
  CHECK(barrier.wait(30s) <= 1);
  CHECK(soon([&] { return barrier.n_waiting() == 1; }));
  client.kill();
  CHECK(soon([&] { return agents(at.manager) == 0; }));
  CHECK(throws<BrokenBarrier>([&] { barrier.wait(30s); }));
}

TEST_CASE(
    "a forked child of a client is a client of its own, and the client is missed all the same") {
  const Somewhere at;
  const auto lock = at.manager.lock();
  at.names.set("lock", lock);
  at.names.set("event", at.manager.event());
  const auto event = at.names.get<EventProxy>("event");
  const auto done = at.manager.event();
  at.names.set("done", done);
  Client client(at.manager, [](const Manager& there) {
    const auto own = there.names().get<LockProxy<Lock>>("lock");
    own.lock();
    if (::fork() == 0) {
      check(!own.try_lock());
      there.names().get<EventProxy>("event").set();
      there.names().get<EventProxy>("done").wait(40s);
      ::_exit(0);
    }
    ::pause();
  });
  CHECK(event.wait(30s));
  CHECK_FALSE(lock.try_lock());
  client.kill();
  CHECK(throws<OwnerDied>([&] { static_cast<void>(lock.try_lock_for(20s)); }));
  done.set();
}

TEST_CASE("a server that dies is an error for clients that wait by address") {
  Somewhere at;
  at.names.set("queue", at.manager.queue<int>());
  const auto event = at.manager.event();
  at.names.set("event", event);
  Client client(at.manager, [](const Manager& there) {
    const auto queue = there.names().get<QueueProxy<int>>("queue");
    there.names().get<EventProxy>("event").set();
    check(throws<ManagerDied>([&] { queue.get(); }));
    check(throws<ManagerDied>([&] { queue.get(); }));
  });
  CHECK(event.wait(30s));
  std::this_thread::sleep_for(50ms);
  ::kill(at.manager.pid(), SIGKILL);
  CHECK(client.wait_for(8s) == 0);  // it does not wait for another server
}

TEST_CASE("what a client's function sends on the server's machine is for that machine") {
  const Somewhere at;
  const Queue<ListProxy<int>> queue;
  at.names.set("queue", at.manager.value(queue));
  at.names.set("list", at.manager.value(at.manager.list<int>({1, 2})));
  Client client(at.manager, [](const Manager& there) {
    const auto to = there.names().get<ValueProxy<Queue<ListProxy<int>>>>("queue");
    const auto list = there.names().get<ValueProxy<ListProxy<int>>>("list");
    const auto put = [](Queue<ListProxy<int>>& it, const ValueProxy<ListProxy<int>>& from) {
      it.put(from.get());
    };
    to.call(put, list);
  });
  CHECK(client.wait_for(30s) == 0);
  const auto take = [](const Queue<ListProxy<int>>& from) { from.get(20s).append(3); };
  Process taker({.start_method = StartMethod::spawn}, take, queue);
  taker.start();
  CHECK(taker.join(30s));
  CHECK(taker.exitcode() == 0);
  CHECK(at.names.get<ValueProxy<ListProxy<int>>>("list").get().items() == std::vector{1, 2, 3});
}
