// SPDX-License-Identifier: BSD-3-Clause
//
// Start methods, families of processes, and what is left of them.
#include <doctest/doctest.h>
#include <hoist/parallel.hpp>
#include <hoist/process.hpp>
#include <hoist/shared.hpp>
#include <hoist/sync.hpp>
#include <hoist/worker.hpp>

#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "processes/fork_server.hpp"
#include "support/child_program.hpp"
#include "support/processes.hpp"
#include "support/sanitized.hpp"

using namespace hoist;
using namespace std::chrono_literals;
using detail::processes::ForkServer;
using support::all_methods;
using support::ChildProgram;
using support::within;

namespace {

int preloaded = 0;

[[noreturn]] void sleep_for_ever() {
  for (;;) ::pause();
}

int square(int x) { return x * x; }

/// Processes of processes, to the depth given.
void descend(int depth, const SharedValue<int>& count, StartMethod method) {
  ++count;
  if (depth == 0) return;
  std::vector<Process> children;
  for (int i = 0; i < 2; ++i) {
    children.emplace_back(ProcessOptions{.start_method = method}, descend, depth - 1, count,
                          method);
    children.back().start();
  }
  for (Process& child : children) child.join();
  for (Process& child : children) {
    if (child.exitcode() != 0) std::exit(1);
  }
}

StartMethod method_here() {
  return static_cast<StartMethod>(std::atoi(std::getenv("TEST_METHOD")));
}

std::vector<std::string> variables_of(StartMethod method, const support::TempDir& dir) {
  return {"TEST_METHOD=" + std::to_string(static_cast<int>(method)),
          "TEST_DIRECTORY=" + dir.path().string()};
}

void note_own_pid(const std::string& name) {
  support::note_pids(std::string(std::getenv("TEST_DIRECTORY")) + "/" + name, {::getpid()});
}

int noted_pid(const support::TempDir& dir, const std::string& name) {
  REQUIRE(within(30s, [&] { return std::filesystem::exists(dir / name); }));
  return support::noted_pids(dir / name).at(0);
}

}  // namespace

TEST_CASE("the start method is spawn unless set, and children have that of their parent") {
  CHECK(get_start_method() == StartMethod::spawn);
  for (const StartMethod method : all_methods) {
    CAPTURE(static_cast<int>(method));
    set_start_method(method);
    CHECK(get_start_method() == method);
    const SharedValue<int> seen(-1);
    Process process(
        [](const SharedValue<int>& to) { to.set(static_cast<int>(get_start_method())); }, seen);
    process.start();
    process.join();
    CHECK(seen.get() == static_cast<int>(method));
  }
  set_start_method(StartMethod::spawn);
}

TEST_CASE("children have children") {
  for (const StartMethod method : all_methods) {
    CAPTURE(static_cast<int>(method));
    const SharedValue<int> count(0);
    Process process({.start_method = method}, descend, 2, count, method);
    process.start();
    process.join();
    CHECK(process.exitcode() == 0);
    CHECK(count.get() == 7);
  }
}

TEST_CASE("loops on all backends run in processes, which are no workers") {
  for (const StartMethod method : all_methods) {
    CAPTURE(static_cast<int>(method));
    const SharedValue<int> right(0);
    Process process(
        {.start_method = method},
        [](const SharedValue<int>& to) {
          if (in_worker()) return;
          for (const char* backend : {"sequential", "threads", "fork", "spawn"}) {
            const auto squares =
                Parallel({.n_jobs = 2, .backend = backend, .force_fork = support::delays_signals})
                    .map(std::vector{1, 2, 3}, square);
            if (squares == std::vector{1, 4, 9}) ++to;
          }
        },
        right);
    process.start();
    process.join();
    CHECK(right.get() == 4);
    CHECK(process.exitcode() == 0);
  }
}

TEST_CASE("tasks of loops start processes") {
  for (const char* backend : {"fork", "spawn", "threads"}) {
    for (const StartMethod method : {StartMethod::spawn, StartMethod::forkserver}) {
      CAPTURE(backend);
      CAPTURE(static_cast<int>(method));
      const auto codes =
          Parallel({.n_jobs = 2, .backend = backend}).map(std::vector{3, 4}, [method](int code) {
            Process process({.start_method = method}, [code] { std::exit(code); });
            process.start();
            process.join();
            return *process.exitcode();
          });
      CHECK(codes == std::vector{3, 4});
    }
  }
}

TEST_CASE("a daemon may have no children") {
  for (const StartMethod method : all_methods) {
    CAPTURE(static_cast<int>(method));
    const SharedValue<int> refused(0);
    Process process(
        {.daemon = true, .start_method = method},
        [](const SharedValue<int>& to) {
          Process child([] {});
          try {
            child.start();
          } catch (const BadArgument&) {
            to.set(current_process().daemon() ? 1 : 2);
          }
        },
        refused);
    process.start();
    process.join();
    CHECK(refused.get() == 1);
    CHECK(process.exitcode() == 0);
  }
}

TEST_CASE("a forked child has nothing to do with the children of its parent") {
  Process sleeper({.start_method = StartMethod::spawn}, sleep_for_ever);
  sleeper.start();
  const SharedArray<int> seen(3);
  Process process({.start_method = StartMethod::fork}, [&] {
    seen[0] = active_children().empty();
    try {
      sleeper.join();
    } catch (const BadArgument&) {
      seen[1] = 1;
    }
    try {
      sleeper.kill();
    } catch (const BadArgument&) {
      seen[2] = 1;
    }
    const Process mine(std::move(sleeper));  // destroys its copy
  });
  process.start();
  process.join();
  CHECK(process.exitcode() == 0);
  for (std::size_t i = 0; i < 3; ++i) CHECK(seen[i] == 1);
  CHECK(sleeper.is_alive());
  sleeper.kill();
}

TEST_CASE("many children do not inherit each other's descriptors") {
  for (const StartMethod method : all_methods) {
    CAPTURE(static_cast<int>(method));
    const Event end;
    const SharedArray<int> counts(10);
    std::vector<Process> processes;
    for (std::size_t i = 0; i < counts.size(); ++i) {
      processes.emplace_back(
          ProcessOptions{.start_method = method},
          [](std::size_t number, const SharedArray<int>& to, const Event& event) {
            to[number] = static_cast<int>(support::open_descriptors());
            event.wait();
          },
          i, counts, end);
      processes.back().start();
    }
    end.set();
    for (Process& process : processes) process.join();
    CHECK(counts[0] > 0);
    CHECK(counts[9] == counts[0]);
  }
}

TEST_CASE("no descriptor and no process is left behind") {
  const std::size_t others = support::child_processes();  // workers of loops
  for (const StartMethod method : all_methods) {
    CAPTURE(static_cast<int>(method));
    const auto round = [method] {
      Process ends(
          {.start_method = method}, [](const std::string&) {}, std::string(2'000'000, 'x'));
      Process throws({.start_method = method}, [] { std::exit(3); });
      Process killed({.start_method = method}, sleep_for_ever);
      Process daemon({.daemon = true, .start_method = method}, sleep_for_ever);
      for (Process* process : {&ends, &throws, &killed, &daemon}) process->start();
      killed.kill();
      int here = 0;
      Process refused({.start_method = StartMethod::spawn}, [&here] { ++here; });
      CHECK_THROWS_AS(refused.start(), CannotTravel);
    };
    round();
    const std::size_t descriptors = support::open_descriptors();
    const std::size_t children = support::child_processes();
    CHECK(children <= others + 1);  // the fork server
    for (int i = 0; i < 5; ++i) round();
    CHECK(support::open_descriptors() == descriptors);
    CHECK(support::child_processes() == children);
  }
}

TEST_CASE("several threads start processes at a time") {
  for (const StartMethod method : {StartMethod::spawn, StartMethod::forkserver}) {
    CAPTURE(static_cast<int>(method));
    const SharedValue<int> runs(0);
    std::atomic<int> right{0};
    {
      std::vector<std::jthread> threads;
      for (int thread = 0; thread < 4; ++thread) {
        threads.emplace_back([&] {
          for (int i = 0; i < 5; ++i) {
            Process process(
                {.start_method = method},
                [](const SharedValue<int>& to, int code) {
                  ++to;
                  std::exit(code);
                },
                runs, i);
            process.start();
            if (process.join(60s) && process.exitcode() == i) ++right;
          }
        });
      }
    }
    CHECK(runs.get() == 20);
    CHECK(right == 20);
    CHECK(active_children().empty());
  }
}

TEST_CASE("the fork server calls what is to be preloaded, once") {
  forkserver_preload([] { ++preloaded; });
  CHECK_THROWS_AS(forkserver_preload(nullptr), BadArgument);
  for (int i = 0; i < 3; ++i) {
    const SharedValue<int> seen(-1);
    Process process(
        {.start_method = StartMethod::forkserver},
        [](const SharedValue<int>& to) { to.set(preloaded); }, seen);
    process.start();
    process.join();
    CHECK(seen.get() == 1);
  }
  CHECK(preloaded == 0);
}

TEST_CASE("a fork server that is replaced still serves its children") {
  const Event end;
  Process process(
      {.start_method = StartMethod::forkserver},
      [](const Event& event) {
        event.wait();
        ::raise(SIGUSR1);
      },
      end);
  process.start();
  const int first = ForkServer::pid();
  forkserver_preload([] {});
  Process other({.start_method = StartMethod::forkserver}, [] {});
  other.start();
  CHECK(ForkServer::pid() != first);
  CHECK_FALSE(support::is_gone(first));
  end.set();
  process.join();
  CHECK(process.exitcode() == -SIGUSR1);
  CHECK(within(10s, [&] { return support::is_gone(first); }));
}

TEST_CASE("a fork server that is killed is replaced, and its children can be waited for") {
  const Event end;
  Process waits(
      {.start_method = StartMethod::forkserver},
      [](const Event& event) {
        event.wait();
        std::exit(6);
      },
      end);
  Process sleeps({.start_method = StartMethod::forkserver}, sleep_for_ever);
  waits.start();
  sleeps.start();
  const int server = ForkServer::pid();
  ::kill(server, SIGINT);
  CHECK(waits.is_alive());
  CHECK(ForkServer::pid() == server);
  ::kill(server, SIGKILL);
  CHECK(within(10s, [&] { return support::is_gone(server); }));
  CHECK_FALSE(waits.join(0s));
  end.set();
  CHECK(waits.join(10s));
  CHECK(waits.exitcode() == 6);
  sleeps.terminate();
  CHECK(sleeps.join(10s));
  const auto code = sleeps.exitcode();
  CHECK((code == -SIGTERM || code == 255));
  Process next({.start_method = StartMethod::forkserver}, [] { std::exit(2); });
  next.start();
  next.join();
  CHECK(next.exitcode() == 2);
  CHECK(ForkServer::pid() != server);
}

TEST_CASE("program whose fork server can't begin" * doctest::skip()) {
  forkserver_preload([] { std::abort(); });
  Process process({.start_method = StartMethod::forkserver}, [] {});
  try {
    process.start();
  } catch (const SystemError& error) {
    std::printf("refused: %s\n", error.what());
  }
}

TEST_CASE("a preload that ends the fork server is an error of start()") {
  ChildProgram program("program whose fork server can't begin");
  REQUIRE(program.ends_within(60s));
  CHECK(program.output().find("refused: can't start a process by StartMethod::forkserver") !=
        std::string::npos);
}

TEST_CASE("program that leaves processes to its end" * doctest::skip()) {
  static std::vector<Process> processes;
  const ProcessOptions last{.start_method = method_here()};
  processes.emplace_back(last, [] {
    std::this_thread::sleep_for(50ms);
    note_own_pid("last");
  });
  ProcessOptions daemon = last;
  daemon.daemon = true;
  processes.emplace_back(daemon, [] {
    note_own_pid("daemon");
    sleep_for_ever();
  });
  for (Process& process : processes) process.start();
  while (!std::filesystem::exists(std::string(std::getenv("TEST_DIRECTORY")) + "/daemon")) {
    std::this_thread::sleep_for(1ms);
  }
  std::exit(5);
}

TEST_CASE("at its end a program waits for its children, and terminates daemons") {
  for (const StartMethod method : all_methods) {
    CAPTURE(static_cast<int>(method));
    const support::TempDir dir;
    ChildProgram program("program that leaves processes to its end", variables_of(method, dir));
    REQUIRE(program.ends_within(60s));
    CHECK(program.exit_code() == 5);
    CHECK(std::filesystem::exists(dir / "last"));
    CHECK(support::is_gone(noted_pid(dir, "daemon")));
  }
}

TEST_CASE("program to be killed with processes" * doctest::skip()) {
  const ProcessOptions options{.start_method = method_here()};
  Process stays(options, [] {
    note_own_pid("stays");
    parent_process()->join();
    note_own_pid("orphan");
  });
  ProcessOptions daemonic = options;
  daemonic.daemon = true;
  Process daemon(daemonic, [] {
    note_own_pid("daemon");
    sleep_for_ever();
  });
  stays.start();
  daemon.start();
  support::note_pids(std::string(std::getenv("TEST_DIRECTORY")) + "/server", {ForkServer::pid()});
  sleep_for_ever();
}

TEST_CASE("children of a killed program see that; its daemons and its fork server end") {
  for (const StartMethod method : all_methods) {
    CAPTURE(static_cast<int>(method));
    const support::TempDir dir;
    ChildProgram program("program to be killed with processes", variables_of(method, dir));
    const int daemon = noted_pid(dir, "daemon");
    const int stays = noted_pid(dir, "stays");
    const int server = noted_pid(dir, "server");
    CHECK_FALSE(support::is_gone(stays));
    program.signal(SIGKILL);
    REQUIRE(program.ends_within(30s));
    CHECK(within(10s, [&] { return support::is_gone(daemon); }));
    CHECK(noted_pid(dir, "orphan") == stays);
    CHECK(within(10s, [&] { return support::is_gone(stays); }));
    if (method == StartMethod::forkserver) {
      CHECK(server > 0);
      CHECK(within(10s, [&] { return support::is_gone(server); }));
    }
  }
}
