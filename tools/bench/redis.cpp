// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/array.hpp>
#include <hoist/executor.hpp>
#include <hoist/memory.hpp>
#include <hoist/parallel.hpp>
#include <hoist/redis.hpp>

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <numeric>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "bench.hpp"
#include "raw_redis.hpp"

// A cache on a Redis server on this machine, beside the barest client of it.

namespace {

using bench::Goal;
using bench::RawClient;
using hoist::Array;
using hoist::Memory;
using Server = bench::RedisServer;

constexpr std::size_t large_bytes = std::size_t{100} << 20;
constexpr std::size_t piece_bytes = std::size_t{16} << 20;

std::string kibibyte(int x) { return std::string(1024, static_cast<char>('a' + x % 26)); }

Array<double> hundred_mebibytes(int seed) {
  auto values = Array<double>::uninitialized({large_bytes / sizeof(double)});
  std::iota(values.data(), values.data() + values.size(), seed);
  return values;
}

int one_second(int x) {
  std::this_thread::sleep_for(std::chrono::seconds(1));
  return x;
}

int forever(int x) {
  while (x == 0) std::this_thread::sleep_for(std::chrono::seconds(1));
  return x;
}

void small_hits(const Server& server, const RawClient& raw) {
  raw.set("raw", std::vector<char>(1024, 'x'));
  const Memory memory(server.url());
  const Memory tiered(server.url(), {.local = bench::scratch() + "/tier"});
  const Memory local(bench::scratch() + "/local");
  const auto far = memory.cache(kibibyte);
  const auto near = tiered.cache(kibibyte);
  const auto here = local.cache(kibibyte);
  far(1);
  near(1);
  here(1);
  constexpr int n = 2000;
  char reply[2048];
  const auto times = bench::medians(9, {[&] {
                                          for (int i = 0; i < n; ++i) raw.get("raw", reply, 1024);
                                        },
                                        [&] {
                                          for (int i = 0; i < n; ++i) bench::keep(far(1));
                                        },
                                        [&] {
                                          for (int i = 0; i < n; ++i) bench::keep(here(1));
                                        },
                                        [&] {
                                          for (int i = 0; i < n; ++i) bench::keep(near(1));
                                        }});
  bench::row("redis, hit of 1 KiB", "us", times[1] / n * 1e6, "raw GET", times[0] / n * 1e6,
             Goal::at_most, 1.6);
  bench::row("redis, hit of 1 KiB in the local tier", "us", times[3] / n * 1e6, "local cache",
             times[2] / n * 1e6, Goal::at_most, 1.15);
}

void large_values(const Server& server, const RawClient& raw) {
  const std::vector<char> piece(piece_bytes, 'x');
  const auto each_piece = [](const auto& work) {
    for (std::size_t at = 0; at < large_bytes; at += piece_bytes) {
      work("piece" + std::to_string(at), std::min(piece_bytes, large_bytes - at));
    }
  };
  each_piece([&](const std::string& key, std::size_t bytes) {
    raw.set(key, std::vector<char>(piece.begin(), piece.begin() + static_cast<long>(bytes)));
  });
  const Memory memory(server.url());
  const auto cached = memory.cache(hundred_mebibytes);
  cached(1);
  const auto to = std::make_unique<char[]>(large_bytes + 1024);
  int next = 2;
  const auto times = bench::medians(
      7, {[&] {
            std::size_t at = 0;
            each_piece([&](const std::string& key, std::size_t bytes) {
              raw.get(key, to.get() + at, bytes);
              at += bytes;
            });
          },
          [&] { bench::keep(cached(1).data()); },
          [&] { each_piece([&](const std::string& key, std::size_t) { raw.set(key, piece); }); },
          [&] { bench::keep(cached(next++).data()); },
          [&] { bench::keep(hundred_mebibytes(next).data()); },
          [&] { memory.reduce_size({.items_limit = 1}); }});
  constexpr double gigabytes = static_cast<double>(large_bytes) / 1e9;
  bench::row("redis, hit of 100 MiB", "GB/s", gigabytes / times[1], "raw GET of 16 MiB pieces",
             gigabytes / times[0], Goal::at_least, 0.6);
  bench::row("redis, store of 100 MiB", "GB/s", gigabytes / (times[3] - times[4]),
             "raw SET of 16 MiB pieces", gigabytes / times[2], Goal::at_least, 0.6);
  memory.clear();
}

void single_flight(const Server& server) {
  const Memory memory(server.url());
  const auto cached = memory.cache(one_second);
  std::vector<pid_t> children;
  int computed = 0;
  const double took = bench::seconds([&] {
    for (int i = 0; i < 16; ++i) {
      const pid_t child = ::fork();
      if (child == 0) {
        cached(7);
        ::_exit(static_cast<int>(memory.stats().misses));
      }
      children.push_back(child);
    }
    for (const pid_t child : children) {
      int status = 0;
      ::waitpid(child, &status, 0);
      computed += WEXITSTATUS(status);
    }
  });
  bench::row("redis, single flight, 16 processes x 1 s", "s", took, "the function", 1,
             Goal::at_most, 1.2);
  bench::row("redis, single flight, 16 processes", "calls", computed, "one", 1, Goal::at_most, 1);

  const auto held = memory.cache(forever);
  const pid_t holder = ::fork();
  if (holder == 0) {
    held(0);
    ::_exit(0);
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  const pid_t waiter = ::fork();
  if (waiter == 0) {
    // What it waits for it would compute for ever: it has the lock when somebody else can't get it.
    ::alarm(20);
    held(0);
    ::_exit(0);
  }
  std::this_thread::sleep_for(std::chrono::seconds(1));
  const RawClient raw(server.port());
  ::kill(holder, SIGKILL);
  ::waitpid(holder, nullptr, 0);
  const auto lock_value = [&] {
    const std::string script =
        "for _,k in ipairs(redis.call('KEYS','{hoist:bench}:l:*')) do return "
        "string.sub(redis.call('GET',k),1,32) end return string.rep('-',32)";
    const std::string words = "*3\r\n$4\r\nEVAL\r\n$" + std::to_string(script.size()) + "\r\n" +
                              script + "\r\n$1\r\n0\r\n";
    raw.send(words.data(), words.size());
    char reply[5 + 32 + 2];
    raw.receive(reply, sizeof reply);
    return std::string(reply + 5, 32);
  };
  const std::string before = lock_value();
  const double passed = bench::seconds([&] {
    while (lock_value() == before || lock_value()[0] == '-') {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  });
  bench::row("redis, holder killed, next one starts", "s", passed, "a second", 1, Goal::at_most, 1);
  ::kill(waiter, SIGKILL);
  ::waitpid(waiter, nullptr, 0);
}

int next_of(int x) { return x + 1; }
int ten_milliseconds(int x) {
  std::this_thread::sleep_for(std::chrono::milliseconds(10));
  return x;
}

/// A process that sends each value back by another list.
class RawEcho {
 public:
  explicit RawEcho(int port) : pid_(::fork()) {
    if (pid_ != 0) return;
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    const RawClient raw(port);
    for (const std::string value(bytes, 'x');;) {
      raw.pop("raw:there", bytes);
      raw.push("raw:back", value);
      raw.pushed();
    }
  }
  RawEcho(const RawEcho&) = delete;
  RawEcho& operator=(const RawEcho&) = delete;
  ~RawEcho() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }

  static constexpr std::size_t bytes = 64;

 private:
  pid_t pid_;
};

/// What a server says that it has done.
struct Traffic {
  double pushes = 0;
  double bytes = 0;  // of all commands that came

  static Traffic of(const RawClient& raw) {
    const std::string text = raw.info();
    const auto number = [&](const std::string& before) {
      const std::size_t at = text.find(before);
      return at == std::string::npos ? 0 : std::strtod(text.c_str() + at + before.size(), nullptr);
    };
    return {.pushes = number("cmdstat_rpush:calls="), .bytes = number("total_net_input_bytes:")};
  }
};

/// Sends so many values of one size through a list, by pipelined scripts, to a process that pops
/// them.
void push_by_scripts(int port, int values, std::size_t bytes) {
  const pid_t consumer = ::fork();
  if (consumer == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    const RawClient raw(port);
    for (int i = 0; i < values; ++i) raw.pop("raw:many", bytes);
    ::_exit(0);
  }
  const RawClient raw(port);
  raw.push_by_scripts("raw:many", values, std::string(bytes, 'x'));
  ::waitpid(consumer, nullptr, 0);
}

/// This program as a worker host.
class Host {
 public:
  explicit Host(const Server& server, int workers) : pid_(::fork()) {
    if (pid_ != 0) return;
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::setenv("HOIST_MAX_CPU_COUNT", std::to_string(workers).c_str(), 1);
    ::setenv("HOIST_WORKER", server.url().c_str(), 1);
    ::execl("/proc/self/exe", "hoist_bench", nullptr);
    ::_exit(127);
  }
  Host(const Host&) = delete;
  Host& operator=(const Host&) = delete;
  ~Host() {
    ::kill(pid_, SIGTERM);
    ::waitpid(pid_, nullptr, 0);
  }

 private:
  pid_t pid_;
};

void loops(const Server& server) {
  const Host host(server, 2);
  std::this_thread::sleep_for(std::chrono::seconds(1));
  hoist::use_redis({.url = server.url()});
  hoist::Parallel parallel({.backend = "redis"});
  const double first =
      bench::seconds([&] { bench::keep(parallel.map(std::vector<int>{1, 2}, next_of)); });
  bench::row("redis, first loop, host waiting", "ms", first * 1e3, "10 ms", 10, Goal::at_most, 1);
  constexpr int many = 1'000'000;
  const std::vector<int> values(many, 3);
  const RawClient raw(server.port());
  bench::keep(parallel.map(values, next_of));
  const Traffic before = Traffic::of(raw);
  bench::keep(parallel.map(values, next_of));
  const Traffic after = Traffic::of(raw);
  // Tasks and results are as many values in lists, of this size.
  const int entries = static_cast<int>(after.pushes - before.pushes);
  const auto bytes = static_cast<std::size_t>((after.bytes - before.bytes) / entries);
  const auto times = bench::medians(5, {[&] { bench::keep(parallel.map(values, next_of)); },
                                        [&] { push_by_scripts(server.port(), entries, bytes); }});
  bench::row("redis, empty tasks, automatic batches", "M/s", many / times[0] / 1e6,
             "celery's chunks, 2026-11", 0.0101, Goal::at_least, 30);
  bench::row("redis, empty tasks, automatic batches", "M/s", many / times[0] / 1e6,
             "raw pipelined scripts, " + std::to_string(entries) + " of " +
                 std::to_string(bytes >> 10U) + " KiB",
             many / times[1] / 1e6, Goal::at_least, 0.5);

  const RawEcho echo(server.port());
  hoist::BackendExecutor executor("redis");
  const std::string value(RawEcho::bytes, 'x');
  constexpr int few = 1000;
  const auto round_trips = bench::medians(7, {[&] {
                                                for (int i = 0; i < few; ++i) {
                                                  raw.push("raw:there", value);
                                                  raw.pushed();
                                                  raw.pop("raw:back", value.size());
                                                }
                                              },
                                              [&] {
                                                for (int i = 0; i < few; ++i) {
                                                  bench::keep(executor.submit(next_of, i).result());
                                                }
                                              }});
  bench::row("redis, submit + result, one at a time", "us", round_trips[1] / few * 1e6,
             "raw RPUSH/BLPOP there and back", round_trips[0] / few * 1e6, Goal::at_most, 1.5);

  const Host other(server, 2);
  std::this_thread::sleep_for(std::chrono::seconds(1));
  const hoist::Parallel together({.n_jobs = 4, .backend = "redis"});
  const hoist::Parallel alone({.n_jobs = 4, .backend = "spawn"});
  const std::vector<int> waits(400, 1);
  const auto waited =
      bench::medians(5, {[&] { bench::keep(alone.map(waits, ten_milliseconds)); },
                         [&] { bench::keep(together.map(waits, ten_milliseconds)); }});
  bench::row("redis, 10 ms tasks, 4 workers on 2 hosts", "tasks/s",
             static_cast<double>(waits.size()) / waited[1], "the same 4 here (spawn)",
             static_cast<double>(waits.size()) / waited[0], Goal::at_least, 0.95);
}

void run() {
  const Server server;
  const RawClient raw(server.port());
  small_hits(server, raw);
  large_values(server, raw);
  single_flight(server);
  loops(server);
}

const bench::Group group("cluster-redis", run);

}  // namespace
