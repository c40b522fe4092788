// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>
#include <hoist/delayed.hpp>
#include <hoist/error.hpp>
#include <hoist/parallel.hpp>
#include <hoist/redis.hpp>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <locale>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "os/process_end.hpp"
#include "redis/host_keys.hpp"
#include "support/child.hpp"
#include "support/hard_limit.hpp"
#include "support/redis_server.hpp"
#include "support/run_tool.hpp"

// Who looks after worker hosts: what hoist workers shows and does.

using namespace hoist;
using namespace std::chrono_literals;
using support::Child;
using support::Daemon;
using support::HardLimit;
using support::has;
using support::RedisServer;

namespace {

Daemon host(const RedisServer& server) {
  return Daemon({"env", "HOIST_WORKER=" + server.url(), "HOIST_MAX_CPU_COUNT=2",
                 std::filesystem::read_symlink("/proc/self/exe").string()},
                (server.directory() / "host.log").string());
}

bool soon(const std::function<bool()>& holds) {
  for (int i = 0; i < 4000 && !holds(); ++i) std::this_thread::sleep_for(5ms);
  return holds();
}

std::vector<RedisWorkerHost> hosts(const RedisServer& server) {
  return redis_worker_hosts({.url = server.url()});
}

/// Adds a line to a file, and takes its time.
int logged(const std::string& log, int x) {
  std::ofstream(log, std::ios::app) << std::to_string(x) + "\n" << std::flush;
  std::this_thread::sleep_for(20ms);
  return x * x;
}

/// A program whose loop of 600 such tasks has the right results.
Child program(const RedisServer& server, const std::string& log) {
  return Child([&] {
    use_redis({.url = server.url()});
    std::vector<decltype(delayed(logged)(log, 0))> tasks;
    for (int i = 0; i < 600; ++i) tasks.push_back(delayed(logged)(log, i));
    const auto squares = Parallel({.backend = "redis"})(std::move(tasks));
    for (int i = 0; i < 600; ++i) {
      if (squares[static_cast<std::size_t>(i)] != i * i) throw std::logic_error("wrong");
    }
    detail::os::run_process_end();
  });
}

std::size_t lines(const std::string& path) {
  const std::string text = support::slurp(path);
  return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
}

}  // namespace

TEST_CASE("hosts describe themselves, and one that is drained ends its tasks before it leaves") {
  const HardLimit limit;
  const RedisServer server;
  CHECK(hosts(server).empty());
  Daemon one = host(server);
  Daemon other = host(server);
  CHECK(soon([&] { return hosts(server).size() == 2 && hosts(server)[0].pid != 0; }));
  const std::string log = server.directory() / "calls";
  Child child = program(server, log);
  CHECK(soon([&] { return lines(log) >= 20; }));
  const auto serving = [&] {
    const auto all = hosts(server);
    return all.size() == 2 && all[0].workers == 2 && all[0].slots == 2 && all[0].programs == 1 &&
           all[0].tasks > 0 && all[0].tasks_per_second > 0 && all[1].workers == 2;
  };
  CHECK(soon(serving));
  const std::string id = hosts(server)[0].id;
  CHECK(end_redis_worker_host({.url = server.url()}, id, HostEnd::when_done));
  CHECK(soon([&] { return one.has_ended() || other.has_ended(); }));
  CHECK_FALSE(end_redis_worker_host({.url = server.url()}, id, HostEnd::when_done));
  CHECK(child.wait_for(30s) == 0);
  CHECK(lines(log) == 600);  // no task ran twice
  CHECK(hosts(server).size() == 1);
  one.end(SIGTERM);
  other.end(SIGTERM);
  // What the program said to the one that had just left expires.
  CHECK(soon([&] { return server.command("KEYS '*'").empty(); }));
}

TEST_CASE("the command line lists hosts, and ends them") {
  if (!support::has_tool()) return;
  const HardLimit limit;
  const RedisServer server;
  std::string url = "'";
  url += server.url() + "'";
  CHECK(has(support::run_tool("workers " + url).out, "0 worker hosts"));
  Daemon one = host(server);
  CHECK(soon([&] { return hosts(server).size() == 1 && hosts(server)[0].pid != 0; }));
  const auto listed = support::run_tool("workers " + url);
  CHECK(listed.code == 0);
  CHECK(has(listed.out, "1 worker host for 2 workers"));
  CHECK(has(listed.out, "waits"));
  CHECK(has(support::run_tool("workers --json " + url).out, "\"slots\":2"));
  const auto missing = support::run_tool("workers --end nobody " + url);
  CHECK(missing.code == 2);
  CHECK(has(missing.error, "no worker host is named \"nobody\""));
  CHECK(support::run_tool("workers --end '' " + url).code == 2);  // an unset variable, perhaps
  CHECK_FALSE(one.has_ended());
  CHECK(support::run_tool("workers --end all " + url).code == 0);
  CHECK(soon([&] { return one.has_ended(); }));
  CHECK(support::run_tool("workers nonsense").code == 2);
  CHECK(support::run_tool("workers 'unix:///nowhere?timeout=0.2'").code == 2);
}

TEST_CASE("the command line does its work where HOIST_WORKER is set, and shows no password") {
  if (!support::has_tool()) return;
  const std::string url = "redis://:secret@127.0.0.1:1/x";
  const auto shown = support::run_tool("env", "HOIST_WORKER=" + url + " HOIST_CACHE=" + url);
  CHECK(shown.code == 0);
  CHECK(has(shown.out, "HOIST_WORKER       redis://***@127.0.0.1:1/x"));
  CHECK_FALSE(has(shown.out + shown.error, "secret"));
}

TEST_CASE("an order that is none is no trouble for a host, and a master takes none") {
  const HardLimit limit;
  const RedisServer server;
  Daemon one = host(server);
  CHECK(soon([&] { return hosts(server).size() == 1; }));
  const std::string list = "RPUSH '{hoist:test}:i:" + hosts(server)[0].id;
  for (const char* const order : {"\\x05", "\\x05x", "\\x05el"}) {
    server.command(list + "' \"$(printf '000000000000000000000000" + order + "')\"");
  }
  const std::string log = server.directory() / "calls";
  Child child = program(server, log);
  CHECK(child.wait_for(30s) == 0);
  CHECK_FALSE(one.has_ended());
}

TEST_CASE("what a host says of itself is read the same whatever the program's locale is") {
  struct Comma : std::numpunct<char> {
    char do_decimal_point() const override { return ','; }
  };
  const std::string text = detail::redis::status_text(
      {.pid = 7, .tasks_per_second = 1.5, .age = 1234s, .is_leaving = true});
  const std::locale before = std::locale::global(std::locale(std::locale(), new Comma));
  const RedisWorkerHost host = detail::redis::parse_status("id", text);
  std::locale::global(before);
  CHECK(host.tasks_per_second == 1.5);
  CHECK(host.age == 1234s);
  CHECK(host.is_leaving);
}
