// SPDX-License-Identifier: BSD-3-Clause
#include "os/fork_hook.hpp"

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstddef>
#include <memory>
#include <thread>

#include "os/thread_pool.hpp"
#include "os/working_place.hpp"
#include "support/processes.hpp"

using hoist::detail::os::ForkHook;
using hoist::detail::os::PerProcess;
using hoist::detail::os::ThreadPool;

namespace {

/// Exit status of a child that does `work`; -1 where it was still at it after five seconds.
template <class Work>
int in_child(const Work& work) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::alarm(5);
    ::_exit(work());
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

struct Guarded {
  std::mutex mutex;
  int value = 0;
  ForkHook hook{mutex, [this] { value = -1; }};
};

struct Numbered {
  int number = 7;
};

constinit PerProcess<Numbered> numbered;

}  // namespace

TEST_CASE("a forked child finds free mutexes, whatever other threads do with them") {
  Guarded guarded;
  std::jthread busy([&](const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      const std::lock_guard lock(guarded.mutex);
      ++guarded.value;
    }
  });
  for (int i = 0; i < 50; ++i) {
    CHECK(in_child([&] { return guarded.mutex.try_lock() && guarded.value == -1 ? 0 : 1; }) == 0);
  }
  busy.request_stop();
  busy.join();
  CHECK(guarded.value >= 0);
}

// The mutexes were taken in the order of their registration: a fork and a thread that held one and
// wanted the other waited for each other.
TEST_CASE("hooked mutexes may nest in any order") {
  const auto first = std::make_unique<Guarded>();
  const auto second = std::make_unique<Guarded>();
  const auto third = std::make_unique<Guarded>();
  const auto nest = [](std::mutex& outer, std::mutex& inner) {
    return std::jthread([&](const std::stop_token& stop) {
      while (!stop.stop_requested()) {
        const std::lock_guard lock(outer);
        std::this_thread::yield();
        const std::lock_guard other(inner);
      }
    });
  };
  // If it hangs, SIGALRM ends the test.
  ::alarm(100);
  {
    const auto up = nest(first->mutex, third->mutex);
    const auto down = nest(third->mutex, second->mutex);
    for (int i = 0; i < 50; ++i) CHECK(in_child([&] { return first->value == -1 ? 0 : 1; }) == 0);
  }
  ::alarm(0);
}

// Hooks were told apart by address: the second one was dropped without a word.
TEST_CASE("an object and its first member may both be hooked") {
  struct Both {
    std::mutex mutex;
    int forks = 0;
    void lock() { ++forks; }
    bool try_lock() { return ++forks != 0; }
    void unlock() {}
    ForkHook of_mutex{mutex};
    ForkHook of_both{*this};
  };
  Both both;
  CHECK(in_child([&] { return both.forks > 0 && both.mutex.try_lock() ? 0 : 1; }) == 0);
  CHECK(both.forks > 0);
}

// Guards were registered by a base class, before the mutex of the derived one was made.
TEST_CASE("hooks come and go while other threads fork") {
  std::jthread forks([](const std::stop_token& stop) {
    while (!stop.stop_requested()) in_child([] { return 0; });
  });
  for (int i = 0; i < 3000; ++i) {
    Guarded guarded;
    const std::lock_guard lock(guarded.mutex);
  }
}

TEST_CASE("what there is once for a process, a child makes anew") {
  CHECK(numbered.find() == nullptr);
  Numbered* const here = &numbered.here();
  CHECK(numbered.find() == here);
  CHECK(&numbered.here() == here);
  here->number = 8;
  CHECK(in_child([&] { return numbered.find() == nullptr ? numbered.here().number : 0; }) == 7);
  CHECK(numbered.here().number == 8);
}

// Its first use waited for a fork that waited for the mutex.
TEST_CASE("a child makes its own while another fork waits for a mutex") {
  numbered.here();
  CHECK(in_child([] {
          Guarded guarded;
          std::unique_lock lock(guarded.mutex);
          const auto before = hoist::detail::os::fork_count();
          std::jthread forks([] { in_child([] { return 0; }); });
          while (hoist::detail::os::fork_count() == before) std::this_thread::yield();
          std::this_thread::sleep_for(std::chrono::milliseconds(20));
          numbered.here();
          lock.unlock();
          return 0;
        }) == 0);
}

// The child unlocked the mutex of the pool without owning it, or found it held for ever.
TEST_CASE("a child of a program with a pool of threads has its own") {
  ThreadPool* const pool = &ThreadPool::shared();
  std::jthread asks([](const std::stop_token& stop) {
    while (!stop.stop_requested()) static_cast<void>(ThreadPool::own_threads());
  });
  for (int i = 0; i < 50; ++i) {
    CHECK(in_child([&] { return &ThreadPool::shared() != pool ? 0 : 1; }) == 0);
  }
}

// Each forked child kept the descriptor of its parent's status, too.
TEST_CASE("a forked child has no more descriptors than its parent") {
  hoist::detail::os::working_place();
  const std::size_t before = support::open_descriptors();
  CHECK(in_child([&] {
          hoist::detail::os::working_place();
          return support::open_descriptors() == before ? 0 : 1;
        }) == 0);
}
