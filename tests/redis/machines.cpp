// SPDX-License-Identifier: BSD-3-Clause
// ctest-machines: 3
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <hoist/redis.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <thread>

#include "support/hard_limit.hpp"
#include "support/redis_loops.hpp"

// Hosts on machines of their own, whose links are cut and healed: run by support/with_machines.sh.

using namespace support;
using namespace std::chrono_literals;

namespace {

constexpr const char* url = "redis://:secret@10.77.0.1/test";

RedisServer start_server() {
  return RedisServer({"--bind", "10.77.0.1", "--port", "6379", "--requirepass", "secret"});
}

/// This program as a host with two workers on the k-th machine.
Daemon host_on(int machine, const RedisServer& server) {
  return Daemon({"nsenter", fmt::format("--net=/run/netns/m{}", machine), "env",
                 fmt::format("HOIST_WORKER={}", url), "HOIST_MAX_CPU_COUNT=2",
                 std::filesystem::read_symlink("/proc/self/exe").string()},
                (server.directory() / "host.log").string());
}

void set_link(int machine, const char* to) {
  REQUIRE(std::system(fmt::format("ip link set m{} {}", machine, to).c_str()) == 0);
}

/// How many tasks that host has begun; nothing while the server doesn't know it.
std::optional<std::uint64_t> tasks_of(const Daemon& host) {
  for (const auto& known : hoist::redis_worker_hosts({.url = url})) {
    if (known.pid == host.pid()) return known.tasks;
  }
  return std::nullopt;
}

void wait_for(const Daemon& host) {
  wait_until([&] { return tasks_of(host).has_value(); });
}

/// The file without which no task of `held` ends.
std::string cut_file(const std::string& log) { return log + ".cut"; }

int held(const std::string& log, int x) {
  const int square = logged(log, x);
  wait_until([&] { return std::filesystem::exists(cut_file(log)); });
  return square;
}

bool has_machines() { return std::getenv("HOIST_MACHINES") != nullptr; }

}  // namespace

TEST_CASE("a machine that vanishes without a word costs no result, and is used when it is back") {
  if (!has_machines()) return;
  const HardLimit limit(120);
  const RedisServer server = start_server();
  const Daemon hosts[] = {host_on(1, server), host_on(2, server), host_on(3, server)};
  for (const Daemon& one : hosts) wait_for(one);
  const TempDir dir;
  const std::string log = (dir / "log").string();
  Child child = master(server, [&] { loop(log, 1000, held); }, url);
  wait_until([&] { return lines(log) >= 6; });
  set_link(2, "down");
  std::ofstream(cut_file(log)).close();
  CHECK(child.wait_for(60s) == 0);
  // What its two workers held ran again elsewhere, as did what it had beside.
  CHECK(lines(log) >= 1002);
  CHECK(lines(log) <= 1300);
  CHECK(tasks_of(hosts[1]) == std::nullopt);

  set_link(2, "up");
  wait_for(hosts[1]);
  const std::uint64_t before = tasks_of(hosts[1]).value_or(0);
  Child next = master(server, [&] { loop(log, 300); }, url);
  CHECK(next.wait_for(60s) == 0);
  CHECK_NOTHROW(wait_until([&] { return tasks_of(hosts[1]).value_or(0) > before; }));
}

TEST_CASE("a host that no longer hears of its master ends the tasks, and serves the next one") {
  if (!has_machines()) return;
  const HardLimit limit(120);
  const RedisServer server = start_server();
  const Daemon host = host_on(1, server);
  wait_for(host);
  const TempDir dir;
  const std::string log = (dir / "log").string();
  Child child = master(server, [&] { loop(log, 100'000); }, url);
  wait_until([&] { return lines(log) >= 20; });
  set_link(1, "down");
  wait_until([&] {
    const int then = lines(log);
    std::this_thread::sleep_for(500ms);
    return lines(log) == then;
  });
  child.kill();
  set_link(1, "up");
  wait_for(host);
  Child next = master(server, [&] { loop((dir / "again").string(), 50); }, url);
  CHECK(next.wait_for(60s) == 0);
}
