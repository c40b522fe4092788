// SPDX-License-Identifier: BSD-3-Clause
#include "remote/hosts.hpp"

#include <doctest/doctest.h>
#include <sys/resource.h>
#include <unistd.h>
#include <hoist/array.hpp>
#include <hoist/delayed.hpp>
#include <hoist/error.hpp>
#include <hoist/parallel.hpp>

#include <filesystem>
#include <fstream>
#include <ranges>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "support/loopback.hpp"
#include "support/temp_dir.hpp"

using namespace hoist;
using namespace std::chrono_literals;
namespace remote = hoist::detail::remote;

namespace {

/// The hosts of the test that runs now.
support::LoopbackHosts* current = nullptr;

struct TestHosts {
  explicit TestHosts(int hosts, unsigned slots = 1) : loopback(hosts, slots) {
    static const bool registered = [] {
      register_backend("test_remote", [] {
        return std::make_shared<remote::RemoteBackend>(
            []() -> remote::Hosts& { return current->hosts(); });
      });
      return true;
    }();
    static_cast<void>(registered);
    current = &loopback;
  }
  ~TestHosts() { current = nullptr; }
  support::LoopbackHosts loopback;
};

int pid_of_worker(int) { return ::getpid(); }

/// Is not polled unless it asks for it.
class Woken final : public support::Loopback {
 public:
  using Loopback::Loopback;
  using Loopback::wake;
  std::chrono::microseconds poll_interval() const override { return never; }
};

int slow(int x) {
  std::this_thread::sleep_for(5ms);
  return x;
}

/// Task 0 ends after the others.
int wait_for_others(int x, int n, const std::string& directory) {
  const auto done = [&] { return static_cast<int>(support::count_entries(directory)); };
  for (int i = 0; x == 0 && done() < n - 1 && i < 20'000; ++i) std::this_thread::sleep_for(1ms);
  if (x == 0 && done() < n - 1) throw std::runtime_error("the others have not run");
  std::ofstream(directory + "/" + std::to_string(x)) << "done";
  return x;
}

/// Notes the process, and waits until it is told to go on.
int begin_and_wait(const std::string& directory, bool waits) {
  if (!waits) return 0;
  std::ofstream(directory + "/" + std::to_string(::getpid())) << "here";
  for (int i = 0; !std::filesystem::exists(directory + "/go") && i < 20'000; ++i) {
    std::this_thread::sleep_for(1ms);
  }
  return 1;
}

/// Notes the process, and waits until so many have noted themselves.
int await_processes(int x, std::size_t n, const std::string& directory) {
  std::ofstream(directory + "/" + std::to_string(::getpid())) << "here";
  for (int i = 0; support::count_entries(directory) < n && i < 20'000; ++i) {
    std::this_thread::sleep_for(1ms);
  }
  if (support::count_entries(directory) < n) throw std::runtime_error("there are no more workers");
  return x;
}

int print_much(int x) {
  for (int i = 0; i < 1000; ++i) {
    std::fprintf(stderr, "%s\n", std::string(100, '.').c_str());
  }
  return x;
}

int wait_at(int x, int which, const std::string& file) {
  if (x == which) {
    std::ofstream(file) << "begun";
    std::this_thread::sleep_for(20s);
  }
  return x;
}

}  // namespace

TEST_CASE("n_jobs = -1 is all workers of all hosts, and each serves") {
  const TestHosts backend(2, 2);
  const Parallel parallel({.backend = "test_remote"});
  CHECK(find_backend("test_remote")->usable_workers() == 4);
  std::set<int> pids;
  for (const int pid : parallel.map(std::views::iota(0, 200), [](int i) {
         slow(i);
         return pid_of_worker(i);
       })) {
    pids.insert(pid);
  }
  CHECK(pids.size() == 4);
  CHECK(!pids.contains(::getpid()));
}

TEST_CASE("workers serve one loop after the other") {
  const TestHosts backend(1);
  const Parallel parallel({.backend = "test_remote"});
  const auto first = parallel.map(std::views::iota(0, 3), pid_of_worker);
  const auto second = parallel.map(std::views::iota(0, 3), pid_of_worker);
  CHECK(first.front() == second.front());
}

TEST_CASE(
    "a host that vanishes in the midst of a loop: its tasks run elsewhere, none counts twice") {
  const TestHosts backend(3);
  std::jthread end([&] {
    std::this_thread::sleep_for(100ms);
    current->lose(2);
  });
  const auto results = Parallel({.backend = "test_remote"}).map(std::views::iota(0, 200), slow);
  REQUIRE(results.size() == 200);
  for (int i = 0; i < 200; ++i) CHECK(results[static_cast<std::size_t>(i)] == i);
}

TEST_CASE("no host is left: the loop says so instead of waiting") {
  const TestHosts backend(1);
  const support::TempDir dir;
  const std::string file = (dir / "begun").string();
  std::jthread end([&] {
    while (!std::filesystem::exists(file)) std::this_thread::sleep_for(1ms);
    current->lose(1);
  });
  std::vector<decltype(delayed(wait_at)(0, 0, std::string()))> calls;
  for (int i = 0; i < 5; ++i) calls.push_back(delayed(wait_at)(i, 2, file));
  CHECK_THROWS_WITH_AS(Parallel({.backend = "test_remote"})(calls),
                       doctest::Contains("has no worker hosts any more: host1 has vanished"),
                       Error);
}

TEST_CASE("on_lost_host = fail: no task may run twice") {
  const TestHosts backend(2);
  const support::TempDir dir;
  const std::string file = (dir / "begun").string();
  std::vector<decltype(delayed(wait_at)(0, 0, std::string()))> calls;
  for (int i = 0; i < 6; ++i) calls.push_back(delayed(wait_at)(i, 0, file));
  std::jthread end([&] {
    while (!std::filesystem::exists(file)) std::this_thread::sleep_for(1ms);
    current->lose(1);
    current->lose(2);
  });
  try {
    Parallel({.backend = "test_remote", .on_lost_host = OnLostHost::fail})(calls);
    FAIL("the loop ended");
  } catch (const WorkerDied& error) {
    CHECK(std::string(error.what()).find("has vanished") != std::string::npos);
  }
}

TEST_CASE("tasks that wait behind a long one on one host run on another") {
  const TestHosts backend(2);
  const support::TempDir dir;
  std::vector<decltype(delayed(wait_for_others)(0, 0, std::string()))> calls;
  constexpr int n = 40;
  for (int i = 0; i < n; ++i) calls.push_back(delayed(wait_for_others)(i, n, dir.path().string()));
  // The first task ends when all others have, some of which were sent to its worker. A worker that
  // resumed before it was known to have stopped once got no more tasks.
  const auto results = Parallel({.backend = "test_remote", .batch_size = 5})(calls);
  CHECK(results.size() == n);
}

TEST_CASE("a task_timeout kills the worker of the task, on its host") {
  const TestHosts backend(2);
  const support::TempDir dir;
  std::vector<decltype(delayed(wait_at)(0, 0, std::string()))> calls;
  for (int i = 0; i < 10; ++i) calls.push_back(delayed(wait_at)(i, 3, (dir / "begun").string()));
  const auto outcomes = Parallel({.backend = "test_remote", .task_timeout = 300ms}).outcomes(calls);
  for (std::size_t i = 0; i < 10; ++i) CHECK(outcomes[i].has_value() == (i != 3));
}

TEST_CASE("a worker that has printed much waits for the master, and nothing is lost") {
  const TestHosts backend(1);
  CHECK(Parallel({.backend = "test_remote"}).map(std::views::iota(0, 20), print_much)[19] == 19);
}

TEST_CASE("garbage from a host is the loss of that host") {
  const TestHosts backend(2);
  std::jthread mean([&] {
    std::this_thread::sleep_for(50ms);
    std::vector<std::byte> garbage(100, std::byte{0xee});
    current->exchange().put(0, {.peer = 1, .bytes = garbage});
  });
  const auto results = Parallel({.backend = "test_remote"}).map(std::views::iota(0, 100), slow);
  CHECK(results.size() == 100);
  CHECK(results.back() == 99);
}

TEST_CASE("a host of another build is refused, with both build-ids and the remedy") {
  const auto exchange = std::make_shared<support::Exchange>();
  remote::Hosts hosts("test", std::make_unique<support::Loopback>(exchange, 0));
  exchange->put(0, {.kind = support::Exchange::Event::joined, .peer = 1, .text = "host1"});
  detail::ipc::FieldWriter hello;
  hello.put(remote::protocol_version);
  hello.put(std::uint32_t{4});
  hello.put(std::uint32_t{4});
  hello.text("\x01\x02other");
  std::vector<std::byte> message;
  remote::append_frame(message, remote::kind::hello, 0, hello.bytes());
  exchange->put(0, {.peer = 1, .bytes = message});
  CHECK_THROWS_WITH_AS(hosts.slots(),
                       doctest::Contains("another build of this program (build-id "
                                         "01026f74686572 there"),
                       Error);
}

TEST_CASE("a large argument goes once to each host, for this loop and the next") {
  const TestHosts backend(1, 2);
  Array<double> large({1 << 20});
  for (int i = 0; i < 1 << 20; ++i) large.data()[i] = i;
  const auto last = [](const Array<double>& array, int i) { return array.data()[i]; };
  std::vector<decltype(delayed(last)(large, 0))> calls;
  for (int i = 0; i < 20; ++i) calls.push_back(delayed(last)(large, i));
  for (int loop = 0; loop < 2; ++loop) {
    const auto results = Parallel({.backend = "test_remote"})(calls);
    for (int i = 0; i < 20; ++i) CHECK(results[static_cast<std::size_t>(i)] == i);
  }
  const std::size_t sent = current->exchange().bytes_to_hosts();
  CHECK(sent > (8U << 20));
  CHECK(sent < (9U << 20));
}

TEST_CASE("a worker host sleeps until its transport wakes it") {
  const auto exchange = std::make_shared<support::Exchange>();
  Woken transport(exchange, 1);
  std::jthread host([&] { remote::WorkerHost(transport, {}).run(); });
  const auto say = [&](support::Exchange::Event::Kind kind) {
    std::this_thread::sleep_for(20ms);  // most often it sleeps by then
    exchange->put(1, {.kind = kind, .peer = 0, .text = "master"});
    transport.wake();
  };
  say(support::Exchange::Event::joined);
  bool has_greeted = false;
  for (int i = 0; i < 5000 && !has_greeted; ++i) {
    std::this_thread::sleep_for(1ms);
    has_greeted = !exchange->take(0).empty();
  }
  CHECK(has_greeted);
  say(support::Exchange::Event::lost);
}

TEST_CASE("a host that comes in the middle of a loop gets tasks of it") {
  TestHosts hosts(1);
  const support::TempDir directory;
  const std::string path = directory.path().string();
  std::jthread later([&] {
    while (support::count_entries(path) < 1) std::this_thread::sleep_for(1ms);
    hosts.loopback.add(2);
  });
  std::vector<decltype(delayed(await_processes)(0, std::size_t{3}, path))> calls;
  for (int i = 0; i < 20; ++i) calls.push_back(delayed(await_processes)(i, std::size_t{3}, path));
  CHECK(Parallel({.backend = "test_remote"})(calls).size() == 20);
  CHECK(support::count_entries(path) == 3);
}

TEST_CASE("what a lost host had waits for another to come, where the others have enough") {
  TestHosts hosts(2);
  const support::TempDir directory;
  const std::string path = directory.path().string();
  std::jthread later([&] {
    while (support::count_entries(path) < 2) std::this_thread::sleep_for(1ms);
    hosts.loopback.lose(2);
    std::this_thread::sleep_for(300ms);
    CHECK(support::count_entries(path) == 2);
    hosts.loopback.add();
  });
  std::vector<decltype(delayed(await_processes)(0, std::size_t{3}, path))> calls;
  for (int i = 0; i < 2; ++i) calls.push_back(delayed(await_processes)(i, std::size_t{3}, path));
  CHECK(Parallel({.backend = "test_remote"})(calls).size() == 2);
}

TEST_CASE("the last host runs what it has before it leaves, though some of its workers have left") {
  TestHosts hosts(0);
  hosts.loopback.add_that_leaves(2);
  const support::TempDir directory;
  const std::string path = directory.path().string();
  std::jthread later([&] {
    while (support::count_entries(path) < 1) std::this_thread::sleep_for(1ms);
    hosts.loopback.tell_to_leave(1);
    std::this_thread::sleep_for(200ms);  // the other worker, which has nothing to do, has left
    support::spill(directory / "go", "");
  });
  std::vector<decltype(delayed(begin_and_wait)(path, true))> calls{
      delayed(begin_and_wait)(path, false), delayed(begin_and_wait)(path, true)};
  CHECK(Parallel({.n_jobs = 2, .backend = "test_remote", .batch_size = 1})(calls).size() == 2);
}

TEST_CASE("arguments of which each is shared once cost a host no more descriptors than it has") {
  const TestHosts hosts(1);
  rlimit before{};
  ::getrlimit(RLIMIT_NOFILE, &before);
  rlimit few = before;
  few.rlim_cur = 256;
  ::setrlimit(RLIMIT_NOFILE, &few);
  const Parallel parallel({.backend = "test_remote", .max_nbytes = 1024});
  const auto first = [](const Array<double>& array) { return array.data()[0]; };
  for (int loop = 0; loop < 6; ++loop) {
    std::vector<decltype(delayed(first)(Array<double>({1})))> calls;
    for (int i = 0; i < 100; ++i) {
      Array<double> array({1024});
      array.data()[0] = 100 * loop + i;
      calls.push_back(delayed(first)(array));
    }
    const auto results = parallel(calls);
    REQUIRE(results.size() == 100);
    CHECK(results.back() == 100 * loop + 99);
  }
  ::setrlimit(RLIMIT_NOFILE, &before);
}

TEST_CASE("progress tells of workers and of the hosts they are on") {
  const TestHosts hosts(2, 2);
  ProgressReport last;
  const support::TempDir directory;
  const std::string path = directory.path().string();
  std::vector<decltype(delayed(await_processes)(0, std::size_t{4}, path))> calls;
  for (int i = 0; i < 4; ++i) calls.push_back(delayed(await_processes)(i, std::size_t{4}, path));
  const Parallel parallel({.backend = "test_remote",
                           .batch_size = 1,
                           .progress = [&](const ProgressReport& report) { last = report; }});
  CHECK(parallel(calls).size() == 4);
  CHECK(last.finished);
  CHECK(last.workers == 4);
  CHECK(last.machines == 2);
}

TEST_CASE("a loop waits for hosts that have joined as it loses the last it had, and uses all") {
  TestHosts hosts(1, 2);
  const support::TempDir directory;
  const std::string path = directory.path().string();
  std::jthread later([&] {
    while (support::count_entries(path) < 1) std::this_thread::sleep_for(1ms);
    hosts.loopback.add();  // which have not said yet what they have when the other is lost
    hosts.loopback.add();
    hosts.loopback.lose(1);
  });
  std::vector<decltype(delayed(await_processes)(0, std::size_t{3}, path))> calls;
  for (int i = 0; i < 2; ++i) calls.push_back(delayed(await_processes)(i, std::size_t{3}, path));
  CHECK(Parallel({.n_jobs = 2, .backend = "test_remote", .batch_size = 2})(calls).size() == 2);
}
