// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>
#include <hoist/array.hpp>
#include <hoist/parallel.hpp>
#include <hoist/queue.hpp>
#include <hoist/shared.hpp>
#include <hoist/sync.hpp>

#include <cmath>

#include <algorithm>
#include <array>
#include <atomic>
#include <map>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include "support/child.hpp"
#include "support/sanitized.hpp"

using namespace hoist;
using namespace std::chrono_literals;

namespace {

struct Job {
  int number = 0;
  std::string name;
  std::vector<double> weights;
  bool operator==(const Job&) const = default;
};

struct Fails {
  int x = 0;
  template <class Ar>
  void serialize(Ar& ar) {
    if (x == 1) throw std::runtime_error("not this one");
    ar(x);
  }
};

int put_some(const Queue<int>& queue, int from, int n) {
  for (int i = 0; i < n; ++i) queue.put(from + i);
  return n;
}

std::vector<int> get_some(const Queue<int>& queue, int n) {
  std::vector<int> items;
  for (int i = 0; i < n; ++i) items.push_back(queue.get(20s));
  return items;
}

}  // namespace

TEST_CASE("items come out of a queue in the order in which they went in") {
  const Queue<Job> queue;
  std::vector<Job> jobs;
  for (int i = 0; i < 1000; ++i) {
    jobs.push_back(
        {i, "job " + std::to_string(i), std::vector<double>(static_cast<unsigned>(i), 0.5)});
  }
  support::Child producer([&] {
    for (const Job& job : jobs) queue.put(job);
  });
  bool equal = true;
  for (const Job& job : jobs) equal = equal && queue.get(20s) == job;
  CHECK(equal);
  CHECK(queue.empty());
  CHECK(queue.size() == 0);
  CHECK(producer.wait_for(10s) == 0);
}

TEST_CASE("a queue is filled first and emptied later, up to its limits") {
  const Queue<int> queue;
  for (int i = 0; i < 100'000; ++i) queue.put(i);
  CHECK(queue.size() == 100'000);
  bool equal = true;
  for (int i = 0; i < 100'000; ++i) equal = equal && queue.get() == i;
  CHECK(equal);

  const Queue<int> three(3);
  for (int i = 0; i < 3; ++i) CHECK(three.try_put(i));
  CHECK(three.full());
  CHECK_FALSE(three.try_put(3));
  CHECK_THROWS_AS(three.put(3, 5ms), Full);
  CHECK_THROWS_AS(three.put_nowait(3), Full);
  CHECK(three.get_nowait() == 0);
  CHECK_FALSE(three.full());
  three.put(3);
  for (int i = 1; i < 4; ++i) CHECK(three.try_get() == i);
  CHECK_FALSE(three.try_get().has_value());
  CHECK_THROWS_AS(three.get(5ms), Empty);
  CHECK_THROWS_AS(three.get_nowait(), Empty);

  const Queue<std::string> small({.max_bytes = 1});  // rounded up to two chunks of 64 KiB
  const std::string item(30'000, 'x');
  std::size_t n = 0;
  while (small.try_put(item)) ++n;
  CHECK(n >= 2);
  CHECK(n <= 4);
  CHECK(small.size() == n);
  CHECK_THROWS_AS(small.put(item, 5ms), Full);
  CHECK(small.get() == item);
}

TEST_CASE("whoever waits for room or for an item goes on when there is some") {
  const Queue<int> queue(1);
  queue.put(1);
  std::jthread consumer([&] {
    std::this_thread::sleep_for(20ms);
    CHECK(queue.get() == 1);
    CHECK(queue.get(20s) == 2);
  });
  queue.put(2, 20s);
}

TEST_CASE("tasks of every backend put items and get them") {
  for (const std::string backend : {"threads", "fork", "spawn"}) {
    CAPTURE(backend);
    const Queue<int> queue;
    Parallel parallel({.n_jobs = 2, .backend = backend});
    CHECK(parallel(
              std::vector{delayed(put_some)(queue, 0, 3000), delayed(put_some)(queue, 3000, 3000)})
              .size() == 2);
    CHECK(queue.size() == 6000);
    const auto got = parallel(std::vector(2, delayed(get_some)(queue, 3000)));
    std::vector<int> all = got[0];
    all.insert(all.end(), got[1].begin(), got[1].end());
    std::ranges::sort(all);
    std::vector<int> expected(6000);
    std::iota(expected.begin(), expected.end(), 0);
    CHECK(all == expected);
    CHECK(queue.empty());
  }
}

TEST_CASE("functions of shared libraries go from any process to any other") {
  using Function = double (*)(double);
  const Queue<Function> functions;
  const Queue<double> results;
  const auto call_them = [](const Queue<Function>& from, const Queue<double>& to) {
    to.put(from.get(20s)(27));
    // The worker may have other numbers for its libraries.
    from.put(&::log2);
    return 0;
  };
  Parallel parallel({.n_jobs = 1, .backend = "spawn"});
  functions.put(&::cbrt);
  parallel(std::vector{delayed(call_them)(functions, results)});
  CHECK(results.get(20s) == doctest::Approx(3));
  CHECK(functions.get(20s)(8) == 3);
}

TEST_CASE("threads put and get a million items") {
  const Queue<std::array<int, 4>> queue({.max_bytes = 1});
  constexpr int each = support::sanitized ? 50'000 : 250'000;
  std::atomic<long> sum{0};
  std::atomic<bool> whole{true};
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 2; ++t) {
      threads.emplace_back([&] {
        for (int i = 0; i < each; ++i) queue.put({i, i, i, i});
      });
      threads.emplace_back([&] {
        for (int i = 0; i < each; ++i) {
          const auto item = queue.get();
          sum += item[0];
          if (item[0] != item[3]) whole = false;
        }
      });
    }
  }
  CHECK(whole);
  CHECK(sum == long{each} * (each - 1));
  CHECK(queue.empty());
}

TEST_CASE("items of any size pass a queue that is smaller, and large arrays are not copied twice") {
  const Queue<std::string> texts({.max_bytes = 1});
  std::string text(5'000'001, 'a');
  for (std::size_t i = 0; i < text.size(); i += 1000)
    text[i] = static_cast<char>('a' + i / 1000 % 26);
  support::Child producer([&] {
    for (int i = 0; i < 3; ++i) texts.put(text);
  });
  for (int i = 0; i < 3; ++i) CHECK(texts.get(20s) == text);
  CHECK(producer.wait_for(10s) == 0);

  const Queue<std::map<std::string, Array<double>>> arrays;
  std::map<std::string, Array<double>> item;
  for (const std::size_t n : {0U, 1U, 1000U, 200'000U, 3'000'000U}) {
    Array<double> array({n});
    std::iota(array.begin(), array.end(), static_cast<double>(n));
    item[std::to_string(n)] = array;
  }
  support::Child child([&] {
    auto same = arrays.get(20s);
    for (auto& [name, array] : same) {
      for (double& x : array) x += 1;
    }
    arrays.put(same);
  });
  arrays.put(item);
  CHECK(child.wait_for(20s) == 0);
  const auto back = arrays.get(20s);
  bool equal = back.size() == item.size();
  for (const auto& [name, array] : back) {
    for (std::size_t i = 0; i < array.size(); ++i) {
      equal = equal && array.data()[i] == item[name].data()[i] + 1;
    }
  }
  CHECK(equal);
}

TEST_CASE("small and large items go through a queue that somebody waits for") {
  const Queue<Array<double>> queue;
  CHECK(queue.fileno() >= 0);
  const Array<double> large({1'200'000});
  for (int i = 0; i < 3; ++i) {
    queue.put(Array<double>({3}));
    queue.put(large);
    queue.put(large);
    CHECK(queue.get(20s).size() == 3);
    CHECK(queue.get(20s).size() == large.size());
    CHECK(queue.get(20s).size() == large.size());
  }
}

TEST_CASE("an array that was put is what it was, also if a task goes on writing to it") {
  const Queue<Array<double>> queue;
  const auto refill = [](const Queue<Array<double>>& to) {
    Array<double> array({1'200'000});
    for (int i = 1; i < 4; ++i) {
      array.fill(i);
      to.put(array);
    }
    return 0;
  };
  Parallel({.n_jobs = 1, .backend = "spawn"})(std::vector{delayed(refill)(queue)});
  for (int i = 1; i < 4; ++i) {
    const Array<double> got = queue.get(20s);
    CHECK(got(0) == i);
    CHECK(got(1'199'999) == i);
  }
}

TEST_CASE("an item that can't be completed in time is as if it had not been put") {
  const Queue<std::string> queue({.max_bytes = 1});
  CHECK_THROWS_AS(queue.put(std::string(1'000'000, 'x'), 20ms), Full);
  queue.put("after it");
  CHECK(queue.get(10s) == "after it");
  CHECK_FALSE(queue.try_put(std::string(1'000'000, 'x')));
  std::jthread consumer([&] { CHECK(queue.get(20s) == "last"); });
  std::this_thread::sleep_for(10ms);
  queue.put("last", 10s);
}

TEST_CASE("a closed queue takes nothing and is emptied") {
  const Queue<int> queue;
  for (int i = 0; i < 3; ++i) queue.put(i);
  CHECK_FALSE(queue.closed());
  queue.close();
  CHECK(queue.closed());
  CHECK_THROWS_AS(queue.put(3), Closed);
  int sum = 0;
  for (const int item : queue) sum += item;
  CHECK(sum == 3);
  CHECK_THROWS_AS(queue.get(), Closed);
  CHECK_THROWS_AS(queue.get(10ms), Closed);

  const Queue<int> other(1);
  std::jthread getter([&] { CHECK_THROWS_AS(other.get(), Closed); });
  std::this_thread::sleep_for(10ms);
  other.close();
  getter.join();
  const Queue<int> full(1);
  full.put(1);
  std::jthread putter([&] { CHECK_THROWS_AS(full.put(2), Closed); });
  std::this_thread::sleep_for(10ms);
  full.close();
}

TEST_CASE("a queue is closed while an item is put that is larger than it") {
  const Queue<std::string> queue({.max_bytes = 1});
  std::jthread putter([&] { CHECK_THROWS_AS(queue.put(std::string(1'000'000, 'x')), Closed); });
  while (queue.empty()) std::this_thread::yield();
  queue.close();
  putter.join();
  CHECK_THROWS_AS(queue.get(), Closed);
}

TEST_CASE("locks, shared memory and queues pass through queues as what they are") {
  const Queue<Lock> locks;
  const Lock lock;
  locks.put(lock);
  const Lock same = locks.get();
  same.lock();
  CHECK(lock.locked());
  same.unlock();

  const Queue<Queue<int>> queues;
  const Queue<int> answers;
  support::Child child([&] {
    const Queue<int> reply = queues.get(20s);
    reply.put(42);
  });
  queues.put(answers);
  CHECK(answers.get(20s) == 42);
  CHECK(child.wait_for(10s) == 0);

  const Queue<std::pair<SharedValue<int>, Array<double>>> both;
  const SharedValue<int> value(0);
  const auto array = Array<double>::shared({3});
  both.put({value, array});
  both.put({value, array});
  support::Child writer([&] {
    auto [counter, shared] = both.get(20s);
    counter.fetch_add(5);
    shared(1) = 7;
  });
  CHECK(writer.wait_for(10s) == 0);
  CHECK(value.get() == 5);
  CHECK(array(1) == 7);
  CHECK(both.get().first.get() == 5);
}

TEST_CASE("handles of items for which there was no room take none from others") {
  const Queue<std::pair<Event, std::vector<double>>> queue({.max_bytes = 128 << 10});
  const std::pair item(Event(), std::vector<double>(50'000));
  for (int i = 0; i < 400; ++i) CHECK_THROWS_AS(queue.put(item, 1ms), Full);
  std::jthread producer([&] {
    for (int i = 0; i < 3; ++i) queue.put(item, 20s);
  });
  for (int i = 0; i < 3; ++i) CHECK(queue.get(20s).second.size() == 50'000);
}

TEST_CASE("a lock that comes back is the one that this process has") {
  // It was mapped a second time; a condition then took it where nothing was mapped any more.
  const Queue<Lock> locks;
  const Lock lock;
  locks.put(lock);
  const Lock again = locks.get();
  CHECK(again.block().data() == lock.block().data());
  lock.lock();
  CHECK(again.held());
  again.unlock();
  const Queue<Condition> conditions;
  conditions.put(Condition());
  support::Child child([&] {
    const Condition first = conditions.get();
    conditions.put(first);
    first.lock();
    static_cast<void>(conditions.get().wait(10ms));
    static_cast<void>(first.wait(10ms));
    first.release();
  });
  CHECK(child.wait_for(20s) == 0);
}

TEST_CASE("errors of an item are the caller's, and the queue goes on") {
  const Queue<Fails> queue;
  queue.put({0});
  CHECK_THROWS_WITH(queue.put({1}), "not this one");
  queue.put({2});
  CHECK(queue.get().x == 0);
  CHECK(queue.get().x == 2);
  CHECK(queue.empty());
}

TEST_CASE("a child that has put more than a pipe holds can be waited for before it is read") {
  const Queue<std::string> queue;
  const std::string text(1'000'000, 'r');
  support::Child child([&] { queue.put(text); });
  CHECK(child.wait_for(20s) == 0);
  CHECK(queue.get(10s) == text);
}

TEST_CASE("a joinable queue is joined when all its tasks are done") {
  const JoinableQueue<int> queue;
  CHECK(queue.join(1s));
  CHECK_THROWS_AS(queue.task_done(), BadArgument);
  for (int i = 0; i < 10; ++i) queue.put(i);
  CHECK_FALSE(queue.join(10ms));
  support::Child consumer([&] {
    for (int i = 0; i < 10; ++i) {
      queue.get(20s);
      queue.task_done();
    }
  });
  CHECK(queue.join(20s));
  CHECK(consumer.wait_for(10s) == 0);
  CHECK_THROWS_AS(queue.task_done(), BadArgument);
}

TEST_CASE("a consumer that dies with items in hand is told to who joins") {
  const JoinableQueue<int> queue;
  for (int i = 0; i < 3; ++i) queue.put(i);
  const Event got;
  support::Child consumer([&] {
    queue.get();
    queue.task_done();
    queue.get();
    got.set();
    ::pause();
  });
  CHECK(got.wait(20s));
  consumer.kill();
  try {
    queue.join(20s);
    FAIL("the death was not noticed");
  } catch (const OwnerDied& error) {
    CHECK(error.pid() == consumer.pid());
  }
  CHECK_FALSE(queue.join(10ms));
  CHECK(queue.get() == 2);
  queue.task_done();
  CHECK(queue.join(20s));
}
