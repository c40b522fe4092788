// SPDX-License-Identifier: BSD-3-Clause
#include "parallel/task_queue.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <set>
#include <thread>
#include <vector>

using hoist::TaskRange;
using hoist::detail::parallel::TaskQueue;

namespace {

bool take(TaskQueue& queue, TaskRange& tasks, std::size_t most) {
  return queue.take(tasks, [&](std::size_t available) { return std::min(available, most); }, [] {});
}

}  // namespace

TEST_CASE("tasks are taken in order, and only those that were released") {
  TaskQueue queue;
  TaskRange tasks;
  CHECK_FALSE(take(queue, tasks, 4));
  CHECK(queue.idle());
  queue.release(6);
  CHECK(queue.available());
  CHECK_FALSE(queue.idle());
  REQUIRE(take(queue, tasks, 4));
  CHECK(tasks.first == 0);
  CHECK(tasks.last == 4);
  REQUIRE(take(queue, tasks, 4));
  CHECK(tasks.first == 4);
  CHECK(tasks.last == 6);
  CHECK_FALSE(take(queue, tasks, 4));
  CHECK_FALSE(queue.settle(4));
  CHECK_FALSE(queue.idle());
  CHECK(queue.settle(2));
  CHECK(queue.idle());
}

TEST_CASE("tasks that are given back are taken again, before new ones") {
  TaskQueue queue;
  queue.release(10);
  TaskRange tasks;
  REQUIRE(take(queue, tasks, 5));
  queue.give_back({2, 5});
  CHECK(queue.available());
  REQUIRE(take(queue, tasks, 2));
  CHECK(tasks.first == 2);
  CHECK(tasks.last == 4);
  REQUIRE(take(queue, tasks, 2));
  CHECK(tasks.first == 4);
  CHECK(tasks.last == 5);
  REQUIRE(take(queue, tasks, 100));
  CHECK(tasks.first == 5);
  CHECK(tasks.last == 10);
  CHECK(queue.settle(10));
}

TEST_CASE("a loop isn't idle while a task waits for its next attempt") {
  TaskQueue queue;
  queue.release(1);
  TaskRange tasks;
  REQUIRE(take(queue, tasks, 1));
  queue.retry(0);
  queue.settle(1);
  CHECK_FALSE(queue.idle());
  REQUIRE(take(queue, tasks, 1));
  CHECK(tasks.first == 0);
  queue.settle(1);
  CHECK(queue.idle());
}

TEST_CASE("threads that take, give back and settle see each task settled exactly once") {
  constexpr std::size_t count = 20'000;
  TaskQueue queue;
  queue.release(count);
  std::vector<std::atomic<int>> settled(count);
  std::vector<std::jthread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&, t] {
      TaskRange tasks;
      for (std::size_t round = 0; !queue.idle(); ++round) {
        if (!take(queue, tasks, 7)) continue;
        // Every few batches the second half comes back, as it does when a batch is split.
        if (tasks.size() > 1 && (round + static_cast<std::size_t>(t)) % 3 == 0) {
          const std::size_t middle = tasks.first + tasks.size() / 2;
          queue.give_back({middle, tasks.last});
          tasks.last = middle;
        }
        for (std::size_t i = tasks.first; i < tasks.last; ++i) settled[i].fetch_add(1);
        queue.settle(tasks.size());
      }
    });
  }
  threads.clear();
  for (const auto& times : settled) CHECK(times.load() == 1);
}
