// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>
#include <hoist/error.hpp>
#include <hoist/parallel.hpp>
#include <hoist/stop.hpp>

#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>

#include "support/child_program.hpp"
#include "support/sanitized.hpp"

using namespace hoist;
using namespace std::chrono_literals;

namespace {

constexpr const char* all_backends[] = {"sequential", "threads", "fork", "spawn"};

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

/// Starts, records its process id, and outlasts every wait; on threads it ends once `end` exists.
struct LongTask {
  std::string directory;
  int operator()(int i) const {
    support::note_pids(directory + "/task" + std::to_string(i), {static_cast<int>(::getpid())});
    while (!std::filesystem::exists(directory + "/end")) std::this_thread::sleep_for(1ms);
    return i;
  }
};

bool has_children() { return ::waitpid(-1, nullptr, WNOHANG) == 0; }

struct Handler {
  static inline volatile std::sig_atomic_t called = 0;
  static void handle(int) {
    called = called + 1;
    interrupt_loops();
  }
};

}  // namespace

// The cases below run this one in a process of its own.
TEST_CASE("program that is interrupted" * doctest::skip()) {
  const std::string backend = variable("TEST_BACKEND");
  const std::string directory = variable("TEST_DIRECTORY");
  const std::string how = variable("TEST_HOW");
  std::signal(SIGINT, how == "handler" ? &Handler::handle : SIG_DFL);
  const Parallel parallel({.n_jobs = 2, .backend = backend, .pre_dispatch = 4});
  int code = 0;
  try {
    if (how == "generator") {
      auto tasks = std::views::iota(0, 1000) |
                   std::views::transform([&](int i) { return delayed(LongTask{directory})(i); });
      for (const int value : parallel.generator(tasks)) code += value >= 0 ? 0 : 1;
    } else if (how == "outcomes") {
      (void)parallel.map_outcomes(std::views::iota(0, 1000), LongTask{directory});
    } else {
      parallel.map(std::views::iota(0, 1000), LongTask{directory});
    }
    code = 1;
  } catch (const Interrupted& error) {
    std::puts(error.what());
  } catch (...) {
    code = 2;
  }
  if (how == "handler" && Handler::called != 1) code = 3;
  // After the loop the object works as before, and the signal has its default action again.
  std::filesystem::remove(directory + "/end");
  if (parallel.map(std::vector{1, 2}, [](int i) { return 2 * i; }) != std::vector{2, 4}) code = 4;
  struct sigaction now{};
  ::sigaction(SIGINT, nullptr, &now);
  if (now.sa_handler != (how == "handler" ? &Handler::handle : SIG_DFL)) code = 5;
  std::fflush(nullptr);
  std::exit(code);  // NOLINT: workers leave at exit
}

TEST_CASE("Ctrl-C ends a loop with one Interrupted, on every backend, and leaves nothing") {
  for (const std::string backend : all_backends) {
    // The loop's owner sleeps in a system call that ThreadSanitizer doesn't know.
    if (backend == "spawn" && support::delays_signals) continue;
    for (const std::string how : {"map", "generator", "outcomes", "handler"}) {
      CAPTURE(backend);
      CAPTURE(how);
      const support::TempDir dir;
      support::ChildProgram program(
          "program that is interrupted",
          {"TEST_BACKEND=" + backend, "TEST_HOW=" + how, "TEST_DIRECTORY=" + dir.path().string()});
      REQUIRE(support::within(60s, [&] { return std::filesystem::exists(dir / "task0"); }));
      program.signal(SIGINT);
      const bool by_threads = backend == "sequential" || backend == "threads";
      // Threads can't be killed: the loop waits for the running tasks.
      if (by_threads) {
        CHECK(!program.ends_within(50ms));
        support::spill(dir / "end", "");
      }
      REQUIRE(program.ends_within(30s));
      CHECK(program.end_signal() == 0);
      CHECK(program.exit_code() == 0);
      CHECK(program.output().find("interrupted") != std::string::npos);
      CHECK(program.errors() == "");
      for (const char* task : {"task0", "task1"}) {
        for (const int pid : support::noted_pids(dir / task)) {
          CHECK(support::within(2s, [&] { return support::is_gone(pid); }));
        }
      }
      // Tasks that had not started never start.
      CHECK(!std::filesystem::exists(dir / "task4"));
    }
  }
}

TEST_CASE("the second Ctrl-C kills, workers included") {
  for (const std::string backend : all_backends) {
    if (backend == "spawn" && support::delays_signals) continue;
    CAPTURE(backend);
    const support::TempDir dir;
    support::ChildProgram program(
        "program that is interrupted",
        {"TEST_BACKEND=" + backend, "TEST_HOW=map", "TEST_DIRECTORY=" + dir.path().string()});
    REQUIRE(support::within(60s, [&] { return std::filesystem::exists(dir / "task0"); }));
    const bool by_threads = backend == "sequential" || backend == "threads";
    program.signal(SIGINT);
    if (by_threads) {
      CHECK(!program.ends_within(50ms));
    }
    program.signal(SIGINT);
    REQUIRE(program.ends_within(30s));
    // If workers are killed, the loop may have ended in the meantime, and the program with it.
    if (by_threads || program.exit_code() < 0) CHECK(program.end_signal() == SIGINT);
    for (const char* task : {"task0", "task1"}) {
      for (const int pid : support::noted_pids(dir / task)) {
        CHECK(support::within(2s, [&] { return support::is_gone(pid); }));
      }
    }
  }
}

TEST_CASE("interrupt_loops ends nested loops too, and does nothing where there are none") {
  interrupt_loops();
  std::atomic<int> begun{0};
  const Parallel parallel({.n_jobs = 2, .backend = "threads"});
  CHECK_THROWS_AS(parallel.map(std::views::iota(0, 4),
                               [&](int i) {
                                 return Parallel({.n_jobs = 2, .backend = "threads"})
                                     .map(std::views::iota(0, 1000000),
                                          [&](int j) {
                                            if (++begun == 3) interrupt_loops();
                                            std::this_thread::sleep_for(1ms);
                                            return i * j;
                                          })
                                     .size();
                               }),
                  Interrupted);
  CHECK(begun < 100000);
  CHECK(!has_children());
  CHECK(parallel.map(std::vector{3}, [](int i) { return i; }) == std::vector{3});
}
