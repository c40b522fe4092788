// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>
#include <hoist/error.hpp>
#include <hoist/memory.hpp>
#include <hoist/store.hpp>

#include <atomic>
#include <chrono>
#include <csignal>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "memory/store.hpp"
#include "os/file.hpp"
#include "redis/leases.hpp"
#include "redis/server.hpp"
#include "sockets/address.hpp"
#include "support/child.hpp"
#include "support/frequent_signals.hpp"
#include "support/hard_limit.hpp"
#include "support/redis_server.hpp"
#include "support/silent_port.hpp"

using hoist::Memory;
using support::HardLimit;
using support::RedisServer;
using namespace std::chrono_literals;
namespace redis = hoist::detail::redis;

namespace {

std::atomic<int> calls{0};

std::string repeated(int n, int x) {
  ++calls;
  return std::string(static_cast<std::size_t>(n), static_cast<char>('a' + x % 26));
}

/// What a call says that is to fail where its result can't be stored.
std::string trouble_with(const std::string& url, int bytes = 10) {
  const Memory memory(url, {.on_store_error = hoist::OnStoreError::fail});
  try {
    memory.cache(repeated)(bytes, 1);
    return "none";
  } catch (const hoist::Error& error) {
    return error.what();
  }
}

bool says(const std::string& text, const std::string& what) {
  CAPTURE(text);
  CAPTURE(what);
  const bool found = text.find(what) != std::string::npos;
  CHECK(found);
  return found;
}

/// Listens on a port of this machine and answers each connection with the same bytes.
class FalseServer {
 public:
  explicit FalseServer(std::string answer)
      : socket_(hoist::detail::sockets::SocketAddress("127.0.0.1:0")),
        answer_(std::move(answer)),
        thread_([this](const std::stop_token& stop) { run(stop); }) {}

  std::string url(const std::string& options = {}) const {
    return "redis://" + socket_.address() + "/x" + options;
  }

 private:
  void run(const std::stop_token& stop) {
    std::vector<hoist::detail::os::Fd> open;
    while (!stop.stop_requested()) {
      if (auto fd = socket_.accept()) {
        static_cast<void>(!::send(fd.get(), answer_.data(), answer_.size(), MSG_NOSIGNAL));
        open.push_back(std::move(fd));
      }
      std::this_thread::sleep_for(1ms);
    }
  }

  hoist::detail::sockets::ListeningSocket socket_;
  std::string answer_;
  std::jthread thread_;
};

}  // namespace

TEST_CASE("a server that is killed and restarted is a cache that was cleared") {
  const HardLimit limit;
  RedisServer server;
  const Memory memory(server.url());
  const auto cached = memory.cache(repeated);
  calls = 0;
  CHECK(cached(10, 1) == std::string(10, 'b'));
  server.kill();
  CHECK(cached(10, 1) == std::string(10, 'b'));
  CHECK(calls == 2);
  const auto errors = memory.stats().errors;
  CHECK(errors >= 1);
  server.start();
  CHECK(cached(10, 1) == std::string(10, 'b'));
  CHECK(cached(10, 1) == std::string(10, 'b'));
  CHECK(calls == 3);
  CHECK(memory.stats().errors == errors);
}

TEST_CASE("a server that dies while others wait for a result leaves nobody waiting") {
  const HardLimit limit;
  RedisServer server;
  const auto store = hoist::detail::memory::make_store("redis", {.location = server.url()});
  auto lock = store->lock("f/v/aa/x");
  std::atomic<bool> ended{false};
  std::jthread waiter([&] {
    CHECK_THROWS_AS(static_cast<void>(store->lock("f/v/aa/x")), hoist::Error);
    ended = true;
  });
  std::this_thread::sleep_for(200ms);
  CHECK_FALSE(ended);
  server.kill();
  waiter.join();
  // Locks that were lost by a restart are no reason to wait, either.
  server.start();
  lock = store->lock("f/v/aa/x");
  server.command("SET '{hoist:test}:l:f/v/aa/y' somebody");
  std::jthread other(
      [&] { CHECK_THROWS_AS(static_cast<void>(store->lock("f/v/aa/y")), hoist::Error); });
  std::this_thread::sleep_for(200ms);
  server.command("DEL '{hoist:test}:l:f/v/aa/x'");
  other.join();
}

TEST_CASE("a full server stores no more, and the results are right") {
  const HardLimit limit;
  const RedisServer server({"--maxmemory", "20mb", "--maxmemory-policy", "noeviction"});
  const Memory memory(server.url(), {.on_store_error = hoist::OnStoreError::ignore});
  const auto cached = memory.cache(repeated);
  for (int x = 0; x < 60; ++x) {
    CHECK(cached(1'000'000, x) == std::string(1'000'000, static_cast<char>('a' + x % 26)));
  }
  CHECK(memory.stats().errors > 0);
  CHECK(memory.stats().stored > 5);
  CHECK(memory.stats().stored < 30);
  says(trouble_with(server.url("other"), 1'000'000), "maxmemory");
  // What is refused leaves no pieces behind.
  memory.clear();
  CHECK(server.command("KEYS '*'").empty());
}

TEST_CASE("a server that evicts what it likes") {
  const HardLimit limit;
  for (const char* policy : {"allkeys-lru", "volatile-lru", "allkeys-random"}) {
    CAPTURE(policy);
    const RedisServer server({"--maxmemory", "100mb", "--maxmemory-policy", policy});
    const Memory memory(server.url(),
                        {.items_limit = 1000, .on_store_error = hoist::OnStoreError::fail});
    const auto cached = memory.cache(repeated);
    for (int x = 0; x < 100; ++x) {
      const int n = x % 5 == 0 ? 17'000'000 : 500'000;
      for (int twice = 0; twice < 2; ++twice) {
        const std::string text = cached(n, x % 40);
        CHECK(text ==
              std::string(static_cast<std::size_t>(n), static_cast<char>('a' + x % 40 % 26)));
      }
    }
    CHECK(memory.stats().hits > 50);
    CHECK(server.command("INFO stats").find("evicted_keys:0\r") == std::string::npos);
    CHECK(memory.stats().errors == 0);
  }
}

TEST_CASE("a server that doesn't want us says why") {
  const HardLimit limit;
  const RedisServer server({"--requirepass", "word"});
  says(trouble_with(server.url()), "wants a password");
  says(trouble_with("unix://:other@" + server.socket()), "password of the URL is wrong");
  CHECK(trouble_with("unix://:word@" + server.socket()) == "none");
  says(trouble_with("unix://:word@" + server.socket() + "?db=99"), "database");
  const RedisServer open;
  says(trouble_with("unix://:word@" + open.socket()), "no password");
  says(trouble_with("unix:///nowhere/redis.sock"), "No such file");

  const std::string port = std::to_string(support::free_port());
  const RedisServer cluster({"--port", port, "--cluster-enabled", "yes", "--cluster-config-file",
                             "nodes", "--cluster-port", std::to_string(support::free_port())});
  says(trouble_with("redis://127.0.0.1:" + port), "cluster mode");

  const RedisServer replica({"--replicaof", "127.0.0.1 1", "--replica-serve-stale-data", "no"});
  says(trouble_with(replica.url()), "master");
}

TEST_CASE("what is no Redis server, or an old one") {
  const HardLimit limit;
  says(trouble_with(FalseServer("HTTP/1.1 400 Bad Request\r\n\r\n").url()), "no reply of a Redis");
  says(trouble_with(FalseServer(std::string("\x15\x03\x01\0\x02\x02\x28", 7)).url()), "rediss://");
  says(trouble_with(FalseServer(":1\r\n$30\r\nredis_version:4.0.14\r\nrun_id:1\r\n").url()),
       "needs Redis 5");
  says(trouble_with(FalseServer("-ERR Unknown subcommand\r\n-ERR no\r\n").url()), "needs Redis 5");
  says(trouble_with(FalseServer("-DENIED Redis is running in protected mode\r\n").url()),
       "protected mode");
  says(trouble_with(FalseServer("-LOADING Redis is loading\r\n-LOADING\r\n").url()),
       "reads its data");
  // It claims to send 600 MB, or a million million replies.
  says(trouble_with(FalseServer(":1\r\n$600000000\r\nabc").url("?timeout=0.2")), "silent");
  says(trouble_with(FalseServer(":1\r\n*1000000000000\r\n").url("?timeout=0.2")), "silent");
}

TEST_CASE("a silent server is waited for once, not at each call") {
  const HardLimit limit;
  const FalseServer server("");
  const Memory memory(server.url("?timeout=0.2"), {.on_store_error = hoist::OnStoreError::ignore});
  const auto cached = memory.cache(repeated);
  const auto start = std::chrono::steady_clock::now();
  for (int x = 0; x < 100; ++x) {
    CHECK(cached(1, x).size() == 1);
    if (x < 20) std::this_thread::sleep_for(20ms);  // calls that follow at once were spared anyway
  }
  CHECK(std::chrono::steady_clock::now() - start < 2s);
  CHECK(memory.stats().stored == 0);
}

TEST_CASE("a server that stops answering in the middle") {
  const HardLimit limit;
  const RedisServer server;
  const Memory memory(server.url("test", "&timeout=0.3"),
                      {.on_store_error = hoist::OnStoreError::ignore});
  const auto cached = memory.cache(repeated);
  calls = 0;
  cached(10, 1);
  ::kill(server.pid(), SIGSTOP);
  CHECK(cached(10, 1) == std::string(10, 'b'));
  CHECK(calls == 2);
  ::kill(server.pid(), SIGCONT);
  std::this_thread::sleep_for(4s);  // ten times as long as was waited
  CHECK(cached(10, 1) == std::string(10, 'b'));
  CHECK(calls == 2);
}

TEST_CASE("a server that stops answering is not asked again through idle connections") {
  const HardLimit limit;
  const RedisServer server;
  redis::Server connections(redis::Url(server.url("test", "&timeout=0.5")));
  const auto ping = [](redis::Connection& connection) { return connection.call({"PING"}).text; };
  connections.with([&](redis::Connection&) {
    return connections.with([&](redis::Connection&) { return connections.with(ping); });
  });
  ::kill(server.pid(), SIGSTOP);
  CHECK_THROWS_AS(connections.with(ping), hoist::TimedOut);
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < 3; ++i) CHECK_THROWS_AS(connections.with(ping), hoist::TimedOut);
  CHECK(std::chrono::steady_clock::now() - start < 400ms);
}

TEST_CASE("locks of a server that is avoided are not asked for") {
  // Each call, and the end of each lock, had waited for the silent server once more.
  const HardLimit limit;
  const RedisServer server;
  const auto connections =
      std::make_shared<redis::Server>(redis::Url(server.url("test", "&timeout=1")));
  const auto leases = std::make_shared<redis::Leases>(connections);
  auto held = leases->try_lock("held");
  REQUIRE(held != nullptr);
  ::kill(server.pid(), SIGSTOP);
  const auto ping = [](redis::Connection& connection) { return connection.call({"PING"}).text; };
  CHECK_THROWS_AS(connections->with(ping), hoist::TimedOut);
  CHECK_THROWS_AS(leases->try_lock("wanted"), hoist::TimedOut);
  held.reset();
  ::kill(server.pid(), SIGCONT);
  // What had been sent to it would have been done by now.
  CHECK(server.command("EXISTS wanted") == "0");
  CHECK(server.command("EXISTS held") == "1");
}

TEST_CASE("a server that doesn't answer at the end of a lock is avoided") {
  // It was waited for again by the next call.
  const HardLimit limit;
  const RedisServer server;
  const auto connections =
      std::make_shared<redis::Server>(redis::Url(server.url("test", "&timeout=1")));
  const auto leases = std::make_shared<redis::Leases>(connections);
  auto held = leases->try_lock("held");
  const auto count = [](redis::Connection& connection) { connection.call({"INCR", "number"}); };
  connections->with(count);
  ::kill(server.pid(), SIGSTOP);
  held.reset();
  CHECK_THROWS_AS(connections->with(count), hoist::TimedOut);
  ::kill(server.pid(), SIGCONT);
  CHECK(server.command("GET number") == "1");
}

TEST_CASE("signals don't prolong a wait for the server") {
  const HardLimit limit;
  const RedisServer server;
  redis::Connection connection(redis::Url(server.url("test", "&timeout=0.3")));
  connection.call({"PING"});
  struct sigaction ignore{};
  ignore.sa_handler = [](int) {};
  struct sigaction before{};
  ::sigaction(SIGUSR1, &ignore, &before);
  ::kill(server.pid(), SIGSTOP);
  {
    const std::jthread disturbs([thread = ::pthread_self()](const std::stop_token& stop) {
      while (!stop.stop_requested()) {
        ::pthread_kill(thread, SIGUSR1);
        std::this_thread::sleep_for(20ms);
      }
    });
    CHECK_THROWS_AS(connection.call({"PING"}), hoist::TimedOut);
  }
  ::sigaction(SIGUSR1, &before, nullptr);
}

TEST_CASE("a signal is not taken for something that has come") {
  const HardLimit limit;
  const RedisServer server;
  redis::Connection connection{redis::Url(server.url())};
  const support::FrequentSignals signals;
  int inputs = 0;
  for (int i = 0; i < 100'000; ++i) inputs += connection.has_input() ? 1 : 0;
  CHECK(inputs == 0);
  CHECK(connection.is_reusable());
}

TEST_CASE("a child that is forked during the first connect can use the store") {
  const HardLimit limit;
  const support::SilentPort silent("127.0.0.1:0");
  const auto store = hoist::detail::memory::make_store(
      "redis", {.location = "redis://" + silent.address() + "/x?timeout=1"});
  const auto fails = [&] {
    CHECK_THROWS_AS(static_cast<void>(store->try_lock("f/v/aa/x")), hoist::TimedOut);
  };
  const std::jthread connects(fails);
  std::this_thread::sleep_for(200ms);
  support::Child child(fails);
  CHECK(child.wait_for(20s) == 0);
}

TEST_CASE("what is no entry of a cache keeps none from being removed") {
  const HardLimit limit;
  const RedisServer server;
  const Memory memory(server.url(), {.on_store_error = hoist::OnStoreError::fail});
  memory.cache(repeated)(10, 1);
  redis::Connection connection(redis::Url(server.url()));
  connection.call({"LPUSH", "{hoist:test}:e:foreign", "x"});
  CHECK(memory.reduce_size({.items_limit = 0}).items == 1);
  CHECK(connection.call({"EXISTS", "{hoist:test}:e:foreign"}).integer == 1);
}
