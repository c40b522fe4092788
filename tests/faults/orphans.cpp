// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>
#include <hoist/error.hpp>
#include <hoist/parallel.hpp>

#include <unistd.h>

#include <csignal>
#include <cstdlib>

#include "support/child_program.hpp"
#include "support/sanitized.hpp"

using namespace hoist;
using namespace std::chrono_literals;

namespace {

enum class End : int { never, killed, segfaults, exits, throws };

/// Starts a child process, records both process ids, and ends.
struct Starter {
  std::string directory;
  End end = End::never;
  int operator()(int i) const {
    const pid_t child = ::fork();
    if (child == 0) {
      for (;;) ::pause();
    }
    support::note_pids(directory + "/task" + std::to_string(i),
                       {static_cast<int>(::getpid()), static_cast<int>(child)});
    // Both tasks are running before one of them ends.
    while (!std::filesystem::exists(directory + "/task" + std::to_string(1 - i))) {
      std::this_thread::sleep_for(1ms);
    }
    // Not pause(), in which ThreadSanitizer delays signals.
    while (i != 0 || end == End::never) std::this_thread::sleep_for(1h);
    switch (end) {
      case End::killed: std::raise(SIGKILL); break;
      case End::segfaults: std::raise(SIGSEGV); break;
      case End::exits: std::exit(3);
      default: throw std::runtime_error("thrown");
    }
    return i;
  }
};

void check_all_gone(const support::TempDir& dir) {
  for (const char* task : {"task0", "task1"}) {
    const auto pids = support::noted_pids(dir / task);
    CHECK(pids.size() == 2);
    for (const int pid : pids) {
      CHECK(support::within(2s, [&] { return support::is_gone(pid); }));
    }
  }
}

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

}  // namespace

// The case below runs this one in a process of its own.
TEST_CASE("program that is killed" * doctest::skip()) {
  Parallel({.n_jobs = 2, .backend = variable("TEST_BACKEND")})
      .for_each(std::vector{0, 1}, Starter{variable("TEST_DIRECTORY")});
}

TEST_CASE("a program that is killed leaves no worker, and no process of a worker's") {
  for (const std::string backend : {"fork", "spawn"}) {
    if (backend == "fork" && support::delays_signals) continue;
    for (const int signal : {SIGKILL, SIGTERM, SIGQUIT}) {
      CAPTURE(backend);
      CAPTURE(signal);
      const support::TempDir dir;
      support::ChildProgram program(
          "program that is killed",
          {"TEST_BACKEND=" + backend, "TEST_DIRECTORY=" + dir.path().string()});
      REQUIRE(support::within(60s, [&] {
        return std::filesystem::exists(dir / "task0") && std::filesystem::exists(dir / "task1");
      }));
      program.signal(signal);
      REQUIRE(program.ends_within(30s));
      check_all_gone(dir);
    }
  }
}

TEST_CASE("a task that ends takes along what it and the tasks beside it have started") {
  for (const std::string backend : {"fork", "spawn"}) {
    for (const End end : {End::killed, End::segfaults, End::exits, End::throws}) {
      CAPTURE(backend);
      CAPTURE(static_cast<int>(end));
      const support::TempDir dir;
      const Starter starter{dir.path().string(), end};
      CHECK_THROWS(Parallel({.n_jobs = 2, .backend = backend}).map(std::vector{0, 1}, starter));
      // A task that threw an ordinary exception may have left a process running on purpose.
      if (end != End::throws) {
        check_all_gone(dir);
      } else {
        for (const int pid : support::noted_pids(dir / "task1")) {
          CHECK(support::within(2s, [&] { return support::is_gone(pid); }));
        }
        ::kill(support::noted_pids(dir / "task0").back(), SIGKILL);
      }
    }
  }
}

TEST_CASE("time limits end what tasks have started") {
  for (const std::string backend : {"fork", "spawn"}) {
    for (const bool whole : {false, true}) {
      CAPTURE(backend);
      CAPTURE(whole);
      const support::TempDir dir;
      ParallelOptions options{.n_jobs = 2, .backend = backend};
      if (whole) options.timeout = 1.0;
      if (!whole) options.task_timeout = 1.0;
      const Starter starter{dir.path().string()};
      CHECK_THROWS_AS(Parallel(options).map(std::vector{0, 1}, starter), TimedOut);
      check_all_gone(dir);
    }
  }
}

TEST_CASE("tasks in processes find no input, and the caller's stays") {
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  REQUIRE(::write(ends[1], "kept", 4) == 4);
  const int saved = ::dup(0);
  ::dup2(ends[0], 0);
  for (const std::string backend : {"fork", "spawn"}) {
    CAPTURE(backend);
    const auto read = Parallel({.n_jobs = 2, .backend = backend}).map(std::vector{0, 1}, [](int) {
      char c = 0;
      return static_cast<long>(::read(0, &c, 1));
    });
    CHECK(read == std::vector<long>{0, 0});
  }
  char kept[5] = {};
  CHECK(::read(0, kept, 4) == 4);
  CHECK(std::string(kept) == "kept");
  ::dup2(saved, 0);
  for (const int fd : {saved, ends[0], ends[1]}) ::close(fd);
}
