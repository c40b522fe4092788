// SPDX-License-Identifier: BSD-3-Clause
//
// Processes and their fork server are killed at random moments: nobody waits in vain, no work is
// done twice, and nothing is left.
#include <doctest/doctest.h>
#include <hoist/process.hpp>
#include <hoist/shared.hpp>

#include <unistd.h>

#include <chrono>
#include <csignal>
#include <random>
#include <thread>
#include <vector>

#include "processes/fork_server.hpp"
#include "support/child_program.hpp"
#include "support/extended.hpp"
#include "support/processes.hpp"

using namespace hoist;
using namespace std::chrono_literals;
using detail::processes::ForkServer;
using support::all_methods;

namespace {

const int rounds = support::extended ? 1000 : 50;

void count(const SharedValue<int>& runs, std::chrono::microseconds time) {
  ++runs;
  std::this_thread::sleep_for(time);
}

}  // namespace

TEST_CASE("the fork server is killed while it starts processes and while they run") {
  std::mt19937 random(11);
  const SharedValue<int> runs(0);
  int started = 0;
  Process first({.start_method = StartMethod::forkserver}, [] {});
  first.start();
  first.join();
  first.close();
  const std::size_t descriptors = support::open_descriptors();
  const std::size_t children = support::child_processes();
  for (int round = 0; round < rounds; ++round) {
    CAPTURE(round);
    std::vector<Process> processes;
    {
      std::jthread killer([server = ForkServer::pid(), delay = random() % 4000] {
        std::this_thread::sleep_for(std::chrono::microseconds(delay));
        // It is not collected before another is needed, so the number is no other's.
        ::kill(server, SIGKILL);
      });
      for (int i = 0; i < 4; ++i) {
        processes.emplace_back(ProcessOptions{.start_method = StartMethod::forkserver}, count, runs,
                               std::chrono::microseconds(random() % 2000));
        processes.back().start();
        ++started;
      }
    }
    for (Process& process : processes) {
      CHECK(process.join(60s));
      CHECK(process.exitcode() == 0);
    }
    CHECK(active_children().empty());
  }
  CHECK(runs.get() == started);
  Process last({.start_method = StartMethod::forkserver}, count, runs, 0us);
  last.start();
  last.join();
  last.close();
  CHECK(runs.get() == started + 1);
  CHECK(support::open_descriptors() == descriptors);
  CHECK(support::child_processes() == children);
}

TEST_CASE("processes are killed while they start and while they run") {
  std::mt19937 random(12);
  const SharedValue<int> runs(0);
  for (const StartMethod method : all_methods) {
    CAPTURE(static_cast<int>(method));
    Process first({.start_method = method}, [] {});
    first.start();
    first.join();
    first.close();
    const std::size_t descriptors = support::open_descriptors();
    const std::size_t children = support::child_processes();
    int killed = 0;
    for (int round = 0; round < rounds; ++round) {
      CAPTURE(round);
      Process process({.start_method = method}, count, runs, 5s);
      process.start();
      std::this_thread::sleep_for(std::chrono::microseconds(random() % 3000));
      if (round % 2 == 0) {
        process.kill();
      } else {
        ::kill(process.pid(), SIGKILL);
      }
      CHECK(process.join(60s));
      killed += process.exitcode() == -SIGKILL;
    }
    CHECK(killed == rounds);
    CHECK(active_children().empty());
    CHECK(support::open_descriptors() == descriptors);
    CHECK(support::child_processes() == children);
  }
}

TEST_CASE("the fork server is killed together with its children") {
  std::mt19937 random(13);
  const SharedValue<int> runs(0);
  for (int round = 0; round < rounds; ++round) {
    CAPTURE(round);
    Process process({.start_method = StartMethod::forkserver}, count, runs, 5s);
    process.start();
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 1000));
    ::kill(random() % 2 == 0 ? ForkServer::pid() : process.pid(), SIGKILL);
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 300));
    ::kill(ForkServer::pid(), SIGKILL);
    process.kill();
    CHECK(process.join(60s));
    const auto code = process.exitcode();
    CHECK((code == -SIGKILL || code == 255));
  }
}
