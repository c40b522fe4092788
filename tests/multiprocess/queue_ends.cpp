// SPDX-License-Identifier: BSD-3-Clause
//
// Waits for queues that nobody is left to end are errors, and no others are. Each case is a child
// with a single thread, since one more could always put or get something.
#include <doctest/doctest.h>
#include <hoist/process.hpp>
#include <hoist/queue.hpp>
#include <hoist/sync.hpp>

#include <unistd.h>

#include <chrono>
#include <functional>
#include <string>
#include <thread>
#include <utility>

#include "support/child.hpp"
#include "support/extended.hpp"

using namespace hoist;
using namespace std::chrono_literals;

namespace {

/// Whether the wait is EndOfStream.
bool is_end(const std::function<void()>& wait) {
  try {
    wait();
  } catch (const EndOfStream&) {
    return true;
  }
  return false;
}

/// Whether the wait is Empty, and not before its three seconds are over.
bool lasts(const Queue<int>& queue) {
  const auto begin = std::chrono::steady_clock::now();
  try {
    queue.get(3s);
  } catch (const Empty&) {
    return std::chrono::steady_clock::now() - begin >= 3s;
  }
  return false;
}

void check(bool is_right) {
  if (!is_right) throw 1;
}

void put_and_stay(const Queue<int>& queue) {
  queue.put(1);
  ::pause();
}

void put_late(const Queue<int>& queue) {
  std::this_thread::sleep_for(4s);
  queue.put(4);
}

void leave_it(const Queue<int>&) {}

/// Runs all at once, each in a child.
void check_all(std::initializer_list<std::pair<const char*, std::function<void()>>> cases) {
  std::vector<std::unique_ptr<support::Child>> children;
  for (const auto& one : cases) children.push_back(std::make_unique<support::Child>(one.second));
  auto child = children.begin();
  for (const auto& one : cases) {
    CAPTURE(one.first);
    CHECK((*child++)->wait_for(40s) == 0);
  }
}

}  // namespace

TEST_CASE("a wait for a queue that nobody is left to end is an error") {
  check_all({
      {"nobody else ever had it",
       [] {
         const Queue<int> queue;
         check(is_end([&] { queue.get(); }));
         check(is_end([&] { queue.get(20s); }));
       }},
      {"the producers were killed",
       [] {
         const Queue<int> queue;
         support::Child one([&] { put_and_stay(queue); });
         Process two({.start_method = StartMethod::spawn}, put_and_stay, queue);
         two.start();
         check(queue.get(20s) + queue.get(20s) == 2);
         one.kill();
         two.kill();
         check(is_end([&] { queue.get(); }));
         // Another can still be started.
         Process three({.start_method = StartMethod::spawn}, put_late, queue);
         three.start();
         check(queue.get() == 4);
       }},
      {"the producers have let go of it, and it goes on living with others",
       [] {
         const Queue<int> queue;
         Process one({.start_method = StartMethod::forkserver}, leave_it, queue);
         one.start();
         one.join();
         check(is_end([&] {
           for (const int item : queue) check(item == 0);
         }));
       }},
      {"the consumers were killed, and it is full",
       [] {
         const Queue<std::string> queue(1);
         support::Child consumer([&] { std::this_thread::sleep_for(1h); });
         queue.put("first");
         consumer.kill();
         check(is_end([&] { queue.put("second"); }));
         check(queue.get() == "first");
       }},
      {"the consumers were killed, and the item is larger than the queue",
       [] {
         const Queue<std::string> queue({.max_bytes = 100'000});
         check(is_end([&] { queue.put(std::string(1'000'000, 'l')); }));
         check(queue.empty());
         queue.put("small");
         check(queue.get() == "small");
       }},
      {"nobody is left who could do the tasks",
       [] {
         const JoinableQueue<int> queue;
         queue.put(1);
         support::Child consumer([] { ::pause(); });
         consumer.kill();
         check(is_end([&] { queue.join(); }));
         queue.get();
         queue.task_done();
         queue.join();
       }},
      {"nobody is left who could do the tasks of a closed queue",
       [] {
         const JoinableQueue<int> queue;
         queue.put(1);
         queue.close();
         support::Child consumer([] { ::pause(); });
         consumer.kill();
         check(is_end([&] { queue.join(); }));
       }},
  });
}

TEST_CASE("a wait for a queue goes on while somebody may end it") {
  check_all({
      {"a child that has not used it",
       [] {
         const Queue<int> queue;
         support::Child child([] { ::pause(); });
         check(lasts(queue));
       }},
      {"a child's child, whose parent has died",
       [] {
         const Queue<int> queue;
         support::Child child([&] {
           if (::fork() == 0) put_late(queue);
         });
         child.wait();
         check(queue.get() == 4);
       }},
      {"a thread of its own",
       [] {
         const Queue<int> queue;
         std::jthread thread([&] { put_late(queue); });
         check(queue.get() == 4);
       }},
      {"a process that takes its time",
       [] {
         const Queue<int> queue;
         Process late({.start_method = StartMethod::forkserver}, put_late, queue);
         late.start();
         check(queue.get() == 4);
       }},
      {"whoever may get it out of another queue",
       [] {
         const Queue<int> queue;
         const Queue<Queue<int>> queues;
         queues.put(queue);
         check(lasts(queue));
       }},
  });
}

TEST_CASE("a process that is killed before it has received its queue is not waited for long" *
          doctest::skip(!support::extended)) {
  check_all({{"", [] {
                const Queue<int> queue;
                Process process({.start_method = StartMethod::spawn}, put_and_stay, queue);
                process.start();
                process.kill();
                try {
                  queue.get();
                  queue.get();
                } catch (const EndOfStream&) {
                  return;
                }
                check(false);
              }}});
}
