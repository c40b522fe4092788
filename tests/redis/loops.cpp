// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>
#include <hoist/array.hpp>
#include <hoist/cpu_count.hpp>
#include <hoist/delayed.hpp>
#include <hoist/error.hpp>
#include <hoist/parallel.hpp>
#include <hoist/redis.hpp>

#include <sys/utsname.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "os/process_end.hpp"
#include "support/child.hpp"
#include "support/hard_limit.hpp"
#include "support/redis_loops.hpp"

using hoist::Array;
using hoist::delayed;
using hoist::Parallel;
using namespace support;
using namespace std::chrono_literals;

namespace {

Array<double> halves(const Array<const double>& values, int plus) {
  auto result = Array<double>::uninitialized({values.size()});
  for (std::size_t i = 0; i < values.size(); ++i) result[i] = values[i] / 2 + plus;
  return result;
}

}  // namespace

TEST_CASE("loops on worker hosts, one after the other") {
  const HardLimit limit;
  const RedisServer server;
  Daemon one = host(server);
  Daemon two = host(server);
  wait_for_hosts(server, 2);
  const TempDir dir;
  const std::string log = (dir / "log").string();
  const std::string trace = (dir / "trace").string();
  utsname names{};
  ::uname(&names);
  const std::string machine = names.nodename;
  for (int program = 0; program < 2; ++program) {
    Child child = master(server, [&] {
      require(hoist::effective_n_jobs() > 0, "workers of this machine");
      Parallel parallel({.backend = "redis"});
      loop(log, 100);
      const auto plus = parallel.map(std::vector<int>(100000, 3), [](int x) { return x + 1; });
      require(plus == std::vector<int>(100000, 4), "wrong sums");
      const std::string explained = hoist::explain_cpu_count();
      require(explained.find("\"redis\": 4 workers on 2 hosts: ") != std::string::npos,
              "hosts are not explained");
      // A trace names the machine of each worker.
      Parallel({.backend = "redis", .trace = trace}).map(numbers(10), [](int x) { return x; });
      require(support::slurp(trace).find(" on " + machine + " (process ") != std::string::npos,
              "machines are not in the trace");
      // Large arguments and results.
      auto values = Array<double>::uninitialized({std::size_t{3} << 20});
      std::iota(values.data(), values.data() + values.size(), 0.0);
      const auto [zero, one_more] =
          parallel(delayed(halves)(values, 0), delayed(halves)(values, 1));
      require(zero[100] == 50 && one_more[100] == 51, "wrong array");
    });
    CHECK(child.wait_for(30s) == 0);
  }
  CHECK(lines(log) == 200);
  one.end(SIGTERM);
  two.end(SIGTERM);
  check_that_nothing_is_left(server);
}

TEST_CASE("failures are those of one machine") {
  const HardLimit limit;
  const RedisServer server;
  const Daemon one = host(server);
  wait_for_hosts(server, 1);
  Child child = master(server, [&] {
    Parallel parallel({.backend = "redis"});
    try {
      parallel.map(numbers(10), [](int x) {
        if (x == 7) throw std::domain_error("seven");
        return x;
      });
      require(false, "no exception");
    } catch (const std::domain_error& error) {
      require(error.what() == std::string("seven"), "another text");
    }
    try {
      parallel.map(numbers(10), [](int x) {
        if (x == 7) std::abort();
        return x;
      });
      require(false, "no death");
    } catch (const hoist::WorkerDied& death) {
      require(death.signal() == SIGABRT, "another signal");
    }
    require(parallel.map(numbers(3), [](int x) { return x; }) == numbers(3), "a host is lost");
  });
  CHECK(child.wait_for(30s) == 0);
}

TEST_CASE("a host that is killed, and one that leaves, cost no result") {
  const HardLimit limit;
  const RedisServer server;
  Daemon killed = host(server);
  Daemon leaves = host(server);
  const Daemon stays = host(server);
  wait_for_hosts(server, 3);
  const TempDir dir;
  const std::string log = (dir / "log").string();
  Child child = master(server, [&] { loop(log, 600); });
  wait_until([&] { return lines(log) >= 60; });
  killed.end(SIGKILL);
  wait_until([&] { return lines(log) >= 200; });
  leaves.end(SIGTERM);
  CHECK(child.wait_for(30s) == 0);
  // Those that were being run ran again.
  CHECK(lines(log) >= 600);
  CHECK(lines(log) <= 700);
}

TEST_CASE("hosts of a master that is killed end its tasks, and serve the next one") {
  const HardLimit limit;
  const RedisServer server;
  Daemon one = host(server);
  wait_for_hosts(server, 1);
  const TempDir dir;
  const std::string log = (dir / "log").string();
  Child child = master(server, [&] { loop(log, 100000); });
  wait_until([&] { return lines(log) >= 20; });
  child.kill();
  wait_until([&] {
    const int then = lines(log);
    std::this_thread::sleep_for(500ms);
    return lines(log) == then;
  });
  wait_until([&] { return server.command("KEYS '{hoist:test}:i:*'").empty(); });
  const std::string again = (dir / "again").string();
  Child next = master(server, [&] { loop(again, 50); });
  CHECK(next.wait_for(30s) == 0);
  CHECK(lines(again) == 50);
  one.end(SIGTERM);
}

TEST_CASE("a server that is killed and restarted in the midst of a loop") {
  const HardLimit limit;
  RedisServer server;
  const Daemon one = host(server);
  const Daemon two = host(server);
  wait_for_hosts(server, 2);
  const TempDir dir;
  const std::string log = (dir / "log").string();
  Child child = master(server, [&] { loop(log, 600); });
  for (int twice = 1; twice <= 2; ++twice) {
    wait_until([&] { return lines(log) >= 100 * twice; });
    server.kill();
    std::this_thread::sleep_for(300ms);
    server.start();
  }
  CHECK(child.wait_for(30s) == 0);
  CHECK(lines(log) >= 600);
}

TEST_CASE("a host that falls silent is given up, and comes back") {
  const HardLimit limit(60);
  const RedisServer server;
  const Daemon stops = host(server, 1);
  const Daemon stays = host(server, 1);
  wait_for_hosts(server, 2);
  const TempDir dir;
  const std::string log = (dir / "log").string();
  Child child = master(server, [&] { loop(log, 400); });
  wait_until([&] { return lines(log) >= 50; });
  ::kill(stops.pid(), SIGSTOP);
  CHECK(child.wait_for(30s) == 0);
  ::kill(stops.pid(), SIGCONT);
  wait_for_hosts(server, 2);
  Child next = master(server, [&] { loop(log, 20); });
  CHECK(next.wait_for(30s) == 0);
}

TEST_CASE("two programs share the hosts") {
  const HardLimit limit;
  const RedisServer server;
  const Daemon one = host(server);
  wait_for_hosts(server, 1);
  const TempDir dir;
  Child large = master(server, [&] { loop((dir / "large").string(), 1000); });
  wait_until([&] { return lines((dir / "large").string()) >= 20; });
  Child small = master(server, [&] { loop((dir / "small").string(), 50); });
  CHECK(small.wait_for(30s) == 0);
  CHECK(lines((dir / "large").string()) < 1000);
  CHECK(large.wait_for(30s) == 0);
}

TEST_CASE("all of it by TLS, with a password") {
  const HardLimit limit;
  const TempDir certificates;
  support::make_certificates(certificates);
  const std::string port = std::to_string(support::free_port());
  const std::string d = certificates.path().string();
  const RedisServer server({"--tls-port",
                            port,
                            "--tls-cert-file",
                            d + "/server.pem",
                            "--tls-key-file",
                            d + "/server.key",
                            "--tls-ca-cert-file",
                            d + "/ca.pem",
                            "--tls-auth-clients",
                            "no",
                            "--user",
                            "default",
                            "off",
                            "--user",
                            "me",
                            "on",
                            ">word",
                            "~{hoist:test}:*",
                            "-@all",
                            "+@read",
                            "+@write",
                            "+@scripting",
                            "+@connection",
                            "+@blocking",
                            "+info",
                            "+client|list",
                            "+time"});
  const std::string url = "rediss://me:word@localhost:" + port + "/test?tls_ca=" + d + "/ca.pem";
  const Daemon one = host(server, 2, url);
  const TempDir dir;
  const std::string log = (dir / "log").string();
  Child child = master(
      server,
      [&] {
        loop(log, 100);
        auto values = Array<double>::uninitialized({std::size_t{3} << 20});
        std::iota(values.data(), values.data() + values.size(), 0.0);
        const auto results = Parallel({.backend = "redis"})(delayed(halves)(values, 0));
        require(std::get<0>(results)[100] == 50, "wrong array");
      },
      url);
  CHECK(child.wait_for(30s) == 0);
  CHECK(lines(log) == 100);
}

TEST_CASE("a server that is full ends the loop with its reason, and never silently") {
  const HardLimit limit(60);
  const RedisServer server({"--maxmemory", "12mb", "--maxmemory-policy", "noeviction"});
  const Daemon one = host(server);
  wait_for_hosts(server, 1);
  Child child = master(server, [&] {
    auto values = Array<double>::uninitialized({std::size_t{4} << 20});
    std::iota(values.data(), values.data() + values.size(), 0.0);
    try {
      const auto results = Parallel({.backend = "redis"})(delayed(halves)(values, 0));
      require(std::get<0>(results)[100] == 50, "wrong array");
    } catch (const hoist::Error& error) {
      require(std::string(error.what()).find("maxmemory") != std::string::npos, error.what());
    }
  });
  CHECK(child.wait_for(50s) == 0);
}

TEST_CASE("a server that refuses is told of, by the host, which ends, and by the program") {
  const HardLimit limit;
  const RedisServer server({"--requirepass", "word"});
  Daemon one = host(server);
  wait_until([&] { return one.has_ended(); });
  CHECK(support::slurp(server.directory() / "host.log").find("wants a password") !=
        std::string::npos);
  const Daemon other = host(server, 1, "unix://:word@" + server.socket() + "?name=other");
  Child child = master(server, [&] {
    try {
      Parallel({.backend = "redis"}).map(numbers(3), [](int x) { return x; });
      require(false, "no exception");
    } catch (const hoist::SystemError& error) {
      require(std::string(error.what()).find("wants a password") != std::string::npos, "no reason");
    }
    // Nothing has come of it: another server may be named.
    try {
      hoist::use_redis({.url = "nothing"});
      require(false, "no exception");
    } catch (const hoist::BadArgument&) {
    }
    hoist::use_redis({.url = "unix://:word@" + server.socket(), .name = "other"});
    loop("/dev/null", 4);
    Child forked([] {
      loop("/dev/null", 4);
      hoist::detail::os::run_process_end();
    });
    require(forked.wait_for(20s) == 0, "a forked child doesn't know the server");
    try {
      hoist::use_redis({.url = "redis://localhost"});
      require(false, "no exception");
    } catch (const hoist::BadArgument&) {
    }
  });
  CHECK(child.wait_for(30s) == 0);
}
