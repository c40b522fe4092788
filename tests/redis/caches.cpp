// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>
#include <hoist/array.hpp>
#include <hoist/delayed.hpp>
#include <hoist/memory.hpp>
#include <hoist/parallel.hpp>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include "support/child.hpp"
#include "support/hard_limit.hpp"
#include "support/redis_server.hpp"

using hoist::Array;
using hoist::delayed;
using hoist::Memory;
using hoist::MmapMode;
using support::Child;
using support::HardLimit;
using support::RedisServer;
using support::TempDir;
using namespace std::chrono_literals;

namespace {

std::atomic<int> calls{0};

int square(int x) {
  ++calls;
  return x * x;
}

Array<const double> table(int n) {
  ++calls;
  auto values = Array<double>::uninitialized({static_cast<std::size_t>(n)});
  std::iota(values.data(), values.data() + n, 0.5);
  return values;
}

/// Adds a line to a file, which counts calls in all processes.
int logged(const std::string& log, int milliseconds) {
  std::ofstream(log, std::ios::app) << "call" << std::endl;
  std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
  return milliseconds;
}

int lines(const std::string& path) {
  const std::string text = support::slurp(path);
  return static_cast<int>(std::ranges::count(text, '\n'));
}

void wait_for_lines(const std::string& path, int n) {
  while (lines(path) < n) std::this_thread::sleep_for(1ms);
}

int through(const Memory& memory, const std::string& log) { return memory.cache(logged)(log, 1); }

const Memory* circle = nullptr;

int second(int);
int first(int x) {
  std::this_thread::sleep_for(200ms);
  return circle->cache(second, {.version = "1"})(x) + 1;
}
int second(int x) {
  std::this_thread::sleep_for(200ms);
  return x > 0 ? 7 : circle->cache(first, {.version = "1"})(x + 1) + 1;
}

double seconds_of(const auto& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

TEST_CASE("a Memory on a Redis server") {
  const HardLimit limit;
  const RedisServer server;
  calls = 0;
  const Memory memory(server.url("project"));
  CHECK(memory.location() == server.url("project"));
  const auto cached = memory.cache(square);
  CHECK(cached(4) == 16);
  CHECK(cached(4) == 16);
  CHECK(calls == 1);
  CHECK(memory.stats().hits == 1);
  CHECK(cached.check_call_in_cache(4));
  // Others that ask the same server, with another name for it too.
  ::setenv("HOIST_URL", server.url("whatever").c_str(), 1);
  CHECK(Memory("project", {.backend = "redis"}).cache(square)(4) == 16);
  CHECK(calls == 1);
  CHECK(Memory("another", {.backend = "redis"}).cache(square)(4) == 16);
  CHECK(calls == 2);
  ::unsetenv("HOIST_URL");
  CHECK_THROWS_AS(Memory("project", {.backend = "redis"}), hoist::BadArgument);
  const auto large = memory.cache(table);
  CHECK(large(5'000'000)[4'999'999] == 4'999'999.5);
  CHECK(large(5'000'000)[4'999'999] == 4'999'999.5);
  CHECK(calls == 3);
  auto shelved = memory.cache(table).call_and_shelve(5'000'000);
  CHECK(shelved.get()[1] == 1.5);
  cached.clear();
  CHECK_FALSE(cached.check_call_in_cache(4));
  memory.clear();
  CHECK(server.command("KEYS '{hoist:project}:*'").empty());
}

TEST_CASE("limits hold for what is on the server") {
  const HardLimit limit;
  const RedisServer server;
  const Memory memory(server.url(), {.items_limit = 20});
  const auto cached = memory.cache(square);
  for (int i = 0; i < 100; ++i) {
    cached(i);
    cached(0);  // is used all the time
  }
  calls = 0;
  cached(0);
  cached(99);
  CHECK(calls == 0);
  CHECK(std::stoi(server.command("HGET '{hoist:test}:usage' items")) <= 20);
  memory.reduce_size({.items_limit = 1});
  CHECK(server.command("HGET '{hoist:test}:usage' items") == "1");
}

TEST_CASE("workers of all backends use the cache they are sent") {
  const HardLimit limit;
  const RedisServer server;
  const Memory memory(server.url());
  const TempDir dir;
  for (const char* backend : {"sequential", "threads", "fork", "spawn"}) {
    CAPTURE(backend);
    const std::string log = (dir / backend).string();
    hoist::Parallel parallel({.n_jobs = 2, .backend = backend});
    const auto results = parallel(delayed(through)(memory, log), delayed(through)(memory, log),
                                  delayed(through)(memory, log), delayed(through)(memory, log));
    CHECK(results == std::tuple(1, 1, 1, 1));
    CHECK(lines(log) == 1);
  }
}

TEST_CASE("processes that ask at once compute once, and the next one if that is killed") {
  const HardLimit limit;
  const RedisServer server;
  const TempDir dir;
  const Memory memory(server.url());
  const auto cached = memory.cache(logged);
  const std::string log = (dir / "once").string();
  {
    std::vector<std::unique_ptr<Child>> children;
    for (int i = 0; i < 8; ++i) {
      children.push_back(std::make_unique<Child>([&] { cached(log, 300); }));
    }
    for (const auto& child : children) CHECK(child->wait_for(20s) == 0);
  }
  CHECK(lines(log) == 1);

  const std::string killed = (dir / "killed").string();
  Child holder([&] { cached(killed, 60000); });
  wait_for_lines(killed, 1);
  Child waiter([&] { cached(killed, 60000); });
  std::this_thread::sleep_for(500ms);
  CHECK(lines(killed) == 1);
  holder.kill();
  CHECK(seconds_of([&] { wait_for_lines(killed, 2); }) < 1.0);
}

TEST_CASE("a lock outlives its lease as long as its holder does") {
  const HardLimit limit;
  // Where nobody may ask who is connected, a lease is as short as a second.
  const RedisServer server({"--rename-command", "CLIENT", "CLIENT"});
  server.command("ACL SETUSER default -client\\|list");
  const TempDir dir;
  const Memory memory(server.url());
  const auto cached = memory.cache(logged);
  const std::string log = (dir / "log").string();
  Child holder([&] { cached(log, 3000); });
  wait_for_lines(log, 1);
  CHECK(cached(log, 3000) == 3000);
  CHECK(holder.wait_for(20s) == 0);
  CHECK(lines(log) == 1);
  // That of a killed one ends.
  const std::string killed = (dir / "killed").string();
  Child dies([&] { cached(killed, 60000); });
  wait_for_lines(killed, 1);
  Child waiter([&] { cached(killed, 60000); });
  std::this_thread::sleep_for(300ms);
  dies.kill();
  CHECK(seconds_of([&] { wait_for_lines(killed, 2); }) < 2.0);
}

TEST_CASE("a server that falls silent costs no lock on another") {
  const HardLimit limit;
  const RedisServer silent;
  const RedisServer server({"--rename-command", "CLIENT", "CLIENT"});
  server.command("ACL SETUSER default -client\\|list");  // a lease of one second
  const TempDir dir;
  const auto on_silent = Memory(silent.url("test", "&timeout=5")).cache(logged);
  const auto cached = Memory(server.url()).cache(logged);
  const std::string log = (dir / "log").string();
  Child holder([&] {
    const std::jthread other([&] {
      try {
        on_silent((dir / "other").string(), 10000);
      } catch (const std::exception&) {
        // The silent server's.
      }
    });
    wait_for_lines(dir / "other", 1);
    ::kill(silent.pid(), SIGSTOP);
    cached(log, 4000);
    ::_exit(0);
  });
  wait_for_lines(log, 1);
  CHECK(cached(log, 4000) == 4000);
  CHECK(holder.wait_for(20s) == 0);
  CHECK(lines(log) == 1);
}

TEST_CASE("processes that wait for each other notice it") {
  const HardLimit limit;
  const RedisServer server;
  const Memory memory(server.url());
  circle = &memory;
  Child one([] { CHECK(circle->cache(first, {.version = "1"})(0) == 9); });
  Child other([] { circle->cache(second, {.version = "1"})(0); });
  CHECK(one.wait_for(20s) == 0);
  CHECK(other.wait_for(20s) == 0);
  CHECK(server.command("KEYS '{hoist:test}:w:*'").empty());
  CHECK(server.command("KEYS '{hoist:test}:l:*'").empty());
}

TEST_CASE("a forked child leaves its parent's locks and connections alone") {
  const HardLimit limit;
  const RedisServer server;
  const TempDir dir;
  const Memory memory(server.url());
  const std::string log = (dir / "log").string();
  const auto cached = memory.cache(logged);
  // The lock is held while this process forks.
  std::jthread holder([&] { cached(log, 500); });
  wait_for_lines(log, 1);
  Child child([&] { memory.cache(square)(3); });
  CHECK(child.wait_for(20s) == 0);
  Child asks([&] { CHECK(cached(log, 500) == 500); });
  holder.join();
  CHECK(asks.wait_for(20s) == 0);
  // The second child computed what its parent was computing, or found it.
  CHECK(lines(log) <= 2);
  CHECK(memory.cache(square)(3) == 9);
}

TEST_CASE("a local directory in front of the server") {
  const HardLimit limit;
  RedisServer server;
  const TempDir dir;
  calls = 0;
  const Memory far(server.url());
  const Memory near(server.url(), {.mmap_mode = MmapMode::read, .local = dir / "near"});
  far.cache(table)(1000);
  CHECK(calls == 1);
  // The first hit fills the directory; what is there is mapped, and needs no server.
  CHECK(near.cache(table)(1000)[7] == 7.5);
  CHECK(near.cache(table)(2000)[7] == 7.5);
  CHECK(calls == 2);
  CHECK(far.cache(table)(2000)[7] == 7.5);
  CHECK(calls == 2);
  server.kill();
  CHECK(near.cache(table)(1000)[7] == 7.5);
  CHECK(near.cache(table)(2000)[7] == 7.5);
  CHECK(calls == 2);
  CHECK(near.stats().errors == 0);
  // Without the server there is still a cache, and the trouble is told.
  CHECK(near.cache(table)(3000)[7] == 7.5);
  CHECK(near.cache(table)(3000)[7] == 7.5);
  CHECK(calls == 3);
  CHECK(near.stats().errors >= 1);
  server.start();
  CHECK(near.cache(table)(4000)[7] == 7.5);
  CHECK(far.cache(table)(4000)[7] == 7.5);
  CHECK(calls == 4);
  near.clear();
  CHECK_FALSE(near.cache(table).check_call_in_cache(1000));
}

TEST_CASE("a local directory that can't be written costs nothing but its speed") {
  const HardLimit limit;
  const RedisServer server;
  const TempDir dir;
  support::spill(dir / "file", "");
  calls = 0;
  const Memory memory(server.url(),
                      {.on_store_error = hoist::OnStoreError::fail, .local = dir / "file/below"});
  CHECK(memory.cache(square)(5) == 25);
  CHECK(memory.cache(square)(5) == 25);
  CHECK(calls == 1);
  CHECK(memory.stats().errors == 0);
}
