// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>
#include <hoist/digest.hpp>
#include <hoist/memory.hpp>

#include <atomic>
#include <chrono>
#include <fstream>
#include <functional>
#include <latch>
#include <memory>
#include <thread>
#include <vector>

#include "memory/flights.hpp"
#include "memory/store.hpp"
#include "support/temp_dir.hpp"

using hoist::ignored;
using hoist::Memory;
using support::TempDir;
using namespace std::chrono_literals;

namespace {

std::atomic<int> calls{0};

int slow(int x) {
  ++calls;
  std::this_thread::sleep_for(100ms);
  return x + 1;
}

/// Adds a line to a file, which counts calls in all processes.
int logged(const std::string& log, int milliseconds) {
  std::ofstream(log, std::ios::app) << "call" << std::endl;
  std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
  return milliseconds;
}

int lines(const std::string& path) {
  const std::string text = support::slurp(path);
  return static_cast<int>(std::count(text.begin(), text.end(), '\n'));
}

void wait_for_lines(const std::string& path, int n) {
  while (lines(path) < n) std::this_thread::sleep_for(1ms);
}

pid_t in_child(const std::function<int()>& work) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(work());
  return child;
}

int exit_code(pid_t child) {
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

const Memory* recursive_memory = nullptr;

int countdown(int /*always_the_same*/, ignored<int> left) {
  ++calls;
  if (left == 0) return 42;
  return recursive_memory->cache(countdown)(0, int(left) - 1);
}

int ping(int key, ignored<int> left);
int pong(int key, ignored<int> left) {
  return left == 0 ? 1 : recursive_memory->cache(ping)(key, int(left) - 1) + 1;
}
int ping(int key, ignored<int> left) {
  std::this_thread::sleep_for(5ms);
  return left == 0 ? 1 : recursive_memory->cache(pong)(key, int(left) - 1) + 1;
}

}  // namespace

TEST_CASE("threads that ask at once compute once") {
  const TempDir dir;
  const Memory memory(dir.path());
  const auto cached = memory.cache(slow);
  calls = 0;
  std::atomic<int> right{0};
  std::vector<std::jthread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] { right += cached(1) == 2 ? 1 : 0; });
  }
  threads.clear();
  CHECK(right == 8);
  CHECK(calls == 1);
  CHECK(memory.stats().misses == 1);
  CHECK(memory.stats().hits == 7);
}

TEST_CASE("two Memory objects of one location share their computations") {
  const TempDir dir;
  const Memory one(dir.path()), two(dir.path());
  calls = 0;
  std::jthread other([&] { CHECK(one.cache(slow)(1) == 2); });
  CHECK(two.cache(slow)(1) == 2);
  other.join();
  CHECK(calls == 1);
}

TEST_CASE("processes that ask at once compute once") {
  const TempDir dir;
  const Memory memory(dir / "cache");
  const auto cached = memory.cache(logged, {.ignore = {0}});
  const std::string log = dir / "log";
  std::vector<pid_t> children;
  for (int i = 0; i < 8; ++i) {
    children.push_back(in_child([&] { return cached(log, 200) == 200 ? 0 : 1; }));
  }
  for (const pid_t child : children) CHECK(exit_code(child) == 0);
  CHECK(lines(log) == 1);
}

TEST_CASE("when the process that computes is killed the next one computes") {
  const TempDir dir;
  const Memory memory(dir / "cache");
  const std::string log = dir / "log";
  // The first one sleeps for ever, the others compute quickly: the time is not part of the key.
  const auto cached = memory.cache(logged, {.ignore = {0, 1}});
  const pid_t first = in_child([&] { return cached(log, 1'000'000); });
  wait_for_lines(log, 1);
  std::vector<pid_t> children;
  for (int i = 0; i < 4; ++i) {
    children.push_back(in_child([&] { return cached(log, 20) == 20 ? 0 : 1; }));
  }
  std::this_thread::sleep_for(50ms);
  CHECK(lines(log) == 1);  // they wait
  ::kill(first, SIGKILL);
  CHECK(exit_code(first) == -SIGKILL);
  for (const pid_t child : children) CHECK(exit_code(child) == 0);
  CHECK(lines(log) == 2);
}

TEST_CASE("a child forked while its parent computes neither waits for it nor keeps its lock") {
  const TempDir dir;
  const Memory memory(dir / "cache");
  const std::string log = dir / "log";
  const auto cached = memory.cache(logged, {.ignore = {0, 1}});
  // The middle process is killed during its computation; its own child survives and would hold the
  // lock if it had inherited it.
  int alive[2];
  REQUIRE(::pipe(alive) == 0);
  const pid_t middle = in_child([&] {
    std::jthread computing([&] { cached(log, 1'000'000); });
    wait_for_lines(log, 1);
    const pid_t grandchild = in_child([&] {
      const int value = cached(log, 1);  // its parent can't be waited for
      [[maybe_unused]] const auto told = ::write(alive[1], &value, sizeof value);
      ::pause();
      return 0;
    });
    [[maybe_unused]] const auto told = ::write(alive[1], &grandchild, sizeof grandchild);
    ::pause();
    return 0;
  });
  int words[2] = {0, 0};
  for (int& word : words) REQUIRE(::read(alive[0], &word, sizeof word) == sizeof word);
  const pid_t grandchild = words[0] == 1 ? words[1] : words[0];
  ::kill(middle, SIGKILL);
  CHECK(exit_code(middle) == -SIGKILL);
  CHECK(cached(log, 5) == 1);  // what the grandchild has stored
  const auto other = memory.cache(logged, {.version = "2", .ignore = {0, 1}});
  CHECK(other(log, 5) == 5);
  ::kill(grandchild, SIGKILL);
  ::close(alive[0]);
  ::close(alive[1]);
}

TEST_CASE("when the computation throws the next one computes") {
  const TempDir dir;
  const Memory memory(dir.path());
  static std::atomic<int> tries{0};
  const auto cached = memory.cache([](int x) {
    std::this_thread::sleep_for(30ms);
    if (++tries == 1) throw std::domain_error("the first one fails");
    return x;
  });
  std::atomic<int> failed{0}, right{0};
  std::vector<std::jthread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      try {
        right += cached(5) == 5 ? 1 : 0;
      } catch (const std::domain_error&) {
        ++failed;
      }
    });
  }
  threads.clear();
  CHECK(failed == 1);
  CHECK(right == 3);
  CHECK(tries == 2);
}

TEST_CASE("a call that asks for itself computes without the lock") {
  const TempDir dir;
  const Memory memory(dir.path());
  recursive_memory = &memory;
  calls = 0;
  CHECK(memory.cache(countdown)(0, 3) == 42);
  CHECK(calls == 4);
}

TEST_CASE("threads that would wait for each other compute without the lock") {
  for (int round = 0; round < 5; ++round) {
    const TempDir dir;
    const Memory memory(dir.path());
    recursive_memory = &memory;
    std::jthread one([&] { CHECK(memory.cache(ping)(1, 3) >= 1); });
    std::jthread two([&] { CHECK(memory.cache(pong)(1, 3) >= 1); });
  }
}

TEST_CASE("where results can't be stored the waiters don't queue") {
  const TempDir dir;
  support::spill(dir / "file", "in the way");
  const Memory memory(dir / "file/cache", {.on_store_error = hoist::OnStoreError::ignore});
  const auto cached = memory.cache(slow);
  calls = 0;
  std::atomic<int> right{0};
  const auto start = std::chrono::steady_clock::now();
  std::vector<std::jthread> threads;
  for (int i = 0; i < 20; ++i) threads.emplace_back([&] { right += cached(1) == 2 ? 1 : 0; });
  threads.clear();
  CHECK(right == 20);
  CHECK(calls > 1);
  CHECK(std::chrono::steady_clock::now() - start < 1500ms);
  CHECK(memory.stats().errors == static_cast<std::uint64_t>(calls));
}

namespace {

/// A thread whose stack, where its variables are, goes with it: small ones are kept for others.
class LargeThread {
 public:
  explicit LargeThread(std::function<void()> work) : work_(std::move(work)) {
    pthread_attr_t attributes;
    ::pthread_attr_init(&attributes);
    ::pthread_attr_setstacksize(&attributes, std::size_t{64} << 20);
    REQUIRE(::pthread_create(&thread_, &attributes, &run, this) == 0);
    ::pthread_attr_destroy(&attributes);
  }
  LargeThread(const LargeThread&) = delete;
  LargeThread& operator=(const LargeThread&) = delete;
  ~LargeThread() { ::pthread_join(thread_, nullptr); }

 private:
  static void* run(void* self) {
    static_cast<LargeThread*>(self)->work_();
    return nullptr;
  }
  std::function<void()> work_;
  pthread_t thread_{};
};

}  // namespace

TEST_CASE("a wait that has ended is not followed to a thread that is gone") {
  using hoist::Digest;
  using hoist::detail::memory::FlightLease;
  const auto store = hoist::detail::memory::make_store("memory", {.location = "flights"});
  const Digest location{.low = 1, .high = 1};
  const auto take = [&](const char* name) {
    const Digest key{.low = 1, .high = static_cast<std::uint64_t>(*name)};
    return std::make_unique<FlightLease>(key, location, *store, name);
  };
  for (int round = 0; round < 40; ++round) {
    std::latch first_leads(1);
    std::latch second_leads(1);
    std::atomic<bool> goes_on{false};
    const auto wait = [&] {
      while (!goes_on) std::this_thread::yield();
    };
    auto first = std::make_unique<LargeThread>([&] {
      const auto lease = take("a");
      first_leads.count_down();
      wait();
    });
    first_leads.wait();
    const LargeThread second([&] {
      const auto lease = take("b");
      second_leads.count_down();
      take("a");
    });
    second_leads.wait();
    std::vector<std::jthread> others;
    for (int i = 0; i < 6; ++i) others.emplace_back([&] { take("a"); });
    for (int i = 0; i < 2; ++i) {
      others.emplace_back([&] {
        wait();
        take("b");
      });
    }
    std::this_thread::sleep_for(200us);
    goes_on = true;
    first.reset();
    take("b");
  }
}
