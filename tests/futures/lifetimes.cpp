// SPDX-License-Identifier: BSD-3-Clause
//
// Executors at the end of a program, in forked children of it, and when it is killed; executors in
// tasks of others.
#include <doctest/doctest.h>
#include <hoist/error.hpp>
#include <hoist/executor.hpp>
#include <hoist/future.hpp>
#include <hoist/parallel.hpp>
#include <hoist/pool.hpp>

#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "futures/support.hpp"
#include "support/child.hpp"
#include "support/child_program.hpp"
#include "support/temp_dir.hpp"

using namespace hoist;
using namespace std::chrono_literals;
using namespace futures;

namespace {

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}
On variable_backend() {
  const std::string name = variable("TEST_BACKEND");
  return name == "threads" ? On::threads : name == "fork" ? On::fork : On::spawn;
}

/// Leaves a mark, after some time.
void mark_slowly(const std::string& mark, int ms) {
  sleep_ms(ms);
  support::spill(mark, "x");
}
/// Leaves its id, and lasts.
void note_and_last(const std::string& mark) {
  support::note_pids(mark, {own_pid()});
  std::this_thread::sleep_for(1h);
}
/// Until another mark is there.
int note_until(const std::string& mark, const std::string& end) {
  support::note_pids(mark, {own_pid()});
  support::within(60s, [&] { return std::filesystem::exists(end); });
  return 1;
}

/// Whether two calls are under way that leave their ids there.
bool two_run(const std::filesystem::path& directory) {
  return support::within(20s, [&] { return count_marks(directory) == 2; });
}
void check_two_gone(const support::TempDir& dir) {
  CHECK(count_marks(dir.path()) == 2);
  for (const auto& entry : std::filesystem::directory_iterator(dir.path())) {
    const std::vector<int> pids = support::noted_pids(entry.path());
    REQUIRE(pids.size() == 1);
    // A forked child hears of it by a signal, which would not come before its sleep is over.
    if (support::delays_signals) continue;
    CHECK(support::within(5s, [&] { return support::is_gone(pids[0]); }));
  }
}

/// Runs a test case of this file in a process of its own.
struct Program : support::ChildProgram {
  Program(const std::string& test_case, On on, const support::TempDir& dir)
      : ChildProgram(test_case,
                     {"TEST_BACKEND=" + name_of(on), "TEST_DIRECTORY=" + dir.path().string()}) {}
};

void submit_marks(Executor& executor, int count, int ms = 10) {
  for (int i = 0; i < count; ++i) {
    executor.submit(mark_slowly, variable("TEST_DIRECTORY") + "/" + std::to_string(i), ms);
  }
}

int fibonacci(int n) {
  static ThreadPoolExecutor executor({.max_workers = 1});
  if (n < 2) return n;
  const auto one = executor.submit(fibonacci, n - 1);
  const auto two = executor.submit(fibonacci, n - 2);
  return one.result() + two.result();
}
int fibonacci_of(Executor* executor, int n) {
  if (n < 2) return n;
  const std::vector calls{executor->submit(fibonacci_of, executor, n - 1),
                          executor->submit(fibonacci_of, executor, n - 2)};
  int sum = 0;
  for (const auto& call : as_completed(calls)) sum += call.result();
  return sum;
}
/// Goes to and fro between two executors.
int bounce(Executor* here, Executor* there, int n) {
  if (n == 0) return 0;
  return 1 + there->submit(bounce, there, here, n - 1).result();
}

int sum_of_squares(int n) {
  ProcessPoolExecutor inner({.max_workers = 2});
  int sum = 0;
  for (const int x : inner.map(std::views::iota(0, n), square)) sum += x;
  return sum + inner.submit(add, 1, 1).result() - 2;
}
int threads_in_task(int n) {
  ThreadPool inner(2);
  const auto all = inner.map(square, std::views::iota(0, n));
  return std::accumulate(all.begin(), all.end(), 0);
}
int loop_in_task(int n) {
  const auto all = Parallel({.n_jobs = 2}).map(std::views::iota(0, n), square);
  return std::accumulate(all.begin(), all.end(), 0);
}
constexpr int sum_to_10 = 285;

}  // namespace

TEST_CASE("tasks that wait for tasks of their executor are no deadlock") {
  const HardLimit limit;
  CHECK(fibonacci(12) == 144);
  for (const int workers : {1, 2}) {
    CAPTURE(workers);
    ThreadPoolExecutor executor({.max_workers = workers});
    CHECK(executor.submit(fibonacci_of, &executor, 12).result() == 144);
    std::vector<Future<int>> calls;
    for (int i = 0; i < 4; ++i) calls.push_back(executor.submit(fibonacci_of, &executor, 8));
    for (const auto& call : calls) CHECK(call.result() == 21);
  }
}

TEST_CASE("a call of a sequential executor submits to it, and waits for that") {
  const HardLimit limit;
  BackendExecutor executor("sequential");
  const auto submit = [&executor] { return executor.submit(square, 3); };
  CHECK(executor.submit([&] { return submit().result() + 1; }).result() == 10);
  CHECK(executor.submit(submit).result().result() == 9);
}

TEST_CASE("workers that are forked while the program submits make their calls") {
  const HardLimit limit;
  for (int round = 0; round < 3; ++round) {
    ProcessPoolExecutor executor({.max_workers = 3, .start_method = StartMethod::fork});
    std::vector<Future<int>> calls;
    const auto end = std::chrono::steady_clock::now() + 500ms;
    while (std::chrono::steady_clock::now() < end) calls.push_back(executor.submit(square, 3));
    for (const auto& call : calls) REQUIRE(call.result(20s) == 9);
  }
}

TEST_CASE("tasks of two executors that wait for each other's are no deadlock") {
  const HardLimit limit;
  for (const int workers : {1, 2}) {
    CAPTURE(workers);
    ThreadPoolExecutor one({.max_workers = workers});
    ThreadPoolExecutor two({.max_workers = workers});
    std::vector<Future<int>> calls;
    for (int i = 0; i < 4; ++i) {
      calls.push_back(one.submit(bounce, &one, &two, 10));
      calls.push_back(two.submit(bounce, &two, &one, 11));
    }
    for (std::size_t i = 0; i < calls.size(); ++i) {
      CHECK(calls[i].result() == (i % 2 == 0 ? 10 : 11));
    }
  }
}

TEST_CASE("tasks wait for a continuation and for when_all on their own executor") {
  const HardLimit limit;
  // They are not calls, which the task could make itself: a second worker does.
  ThreadPoolExecutor executor({.max_workers = 2});
  const auto outer = executor.submit(
      [](Executor* here) {
        const auto both = when_all(here->submit(square, 3), here->submit(square, 4));
        const auto next = here->submit(square, 2).then(*here, square);
        const auto [nine, sixteen] = both.result();
        return nine + sixteen + next.result();
      },
      &executor);
  CHECK(outer.result() == 41);
}

TEST_CASE("executors, pools and loops work in tasks of each other") {
  for_each_backend([](On on) {
    const auto executor = make_executor(on, {.max_workers = 2});
    std::vector<Future<int>> calls;
    for (int i = 0; i < 4; ++i) {
      calls.push_back(executor->submit(sum_of_squares, 10));
      calls.push_back(executor->submit(threads_in_task, 10));
      calls.push_back(executor->submit(loop_in_task, 10));
    }
    for (const auto& call : calls) CHECK(call.result(30s) == sum_to_10);
  });
  const HardLimit limit;
  for (const char* backend : {"sequential", "threads", "fork", "spawn"}) {
    CAPTURE(backend);
    const Parallel parallel({.n_jobs = 2, .backend = backend});
    const std::vector tens(4, 10);
    const std::vector expected(4, sum_to_10);
    CHECK(parallel.map(tens, threads_in_task) == expected);
    CHECK(parallel.map(tens, sum_of_squares) == expected);
  }
}

TEST_CASE("(child) ends with a static executor" * doctest::skip()) {
  static const std::unique_ptr<Executor> executor = make_executor(variable_backend());
  submit_marks(*executor, 20);
}
// Where another kind of executor had been used before, workers had two seconds.
TEST_CASE("(child) ends with calls that take longer" * doctest::skip()) {
  for (const On before : {On::threads, On::fork}) {
    CHECK(make_executor(before, {.max_workers = 1})->submit(square, 2).result() == 4);
  }
  static const std::unique_ptr<Executor> executor =
      make_executor(variable_backend(), {.max_workers = 2});
  submit_marks(*executor, 20, 280);
}
TEST_CASE("(child) calls exit with an executor on the heap" * doctest::skip()) {
  auto* const executor = make_executor(variable_backend(), {.max_workers = 2}).release();
  submit_marks(*executor, 20);
  std::exit(7);
}
TEST_CASE("(child) ends after a shutdown that doesn't wait" * doctest::skip()) {
  const auto executor = make_executor(variable_backend(), {.max_workers = 2});
  submit_marks(*executor, 20);
  executor->shutdown({.wait = false});
}

TEST_CASE("calls that were submitted are finished at the end of the program") {
  for_each_backend([](On on) {
    for (const char* name :
         {"(child) ends with a static executor", "(child) ends with calls that take longer",
          "(child) calls exit with an executor on the heap",
          "(child) ends after a shutdown that doesn't wait"}) {
      CAPTURE(name);
      const support::TempDir dir;
      Program program(name, on, dir);
      CHECK(program.ends_within(20s));
      CAPTURE(program.errors());
      CHECK(program.exit_code() == (std::string(name).find("exit") != std::string::npos ? 7 : 0));
      CHECK(count_marks(dir.path()) == 20);
    }
  });
}

TEST_CASE("(child) ends with a callback to come" * doctest::skip()) {
  static const std::unique_ptr<Executor> executor = make_executor(variable_backend());
  static std::string directory;
  directory = variable("TEST_DIRECTORY");
  executor->submit(sleep_ms, 50).add_done_callback([](const Future<int>& call) {
    support::spill(directory + "/" + std::to_string(call.result()), "x");
  });
}

TEST_CASE("callbacks that are due are called at the end of the program") {
  for_each_backend([](On on) {
    const support::TempDir dir;
    Program program("(child) ends with a callback to come", on, dir);
    CHECK(program.ends_within(20s));
    CAPTURE(program.errors());
    CHECK(program.exit_code() == 0);
    CHECK(std::filesystem::exists(dir / "50"));
  });
}

TEST_CASE("(child) ends with a static pool" * doctest::skip()) {
  const On on = variable_backend();
  static Pool pool(
      {.processes = 2, .start_method = on == On::fork ? StartMethod::fork : StartMethod::spawn});
  for (int i = 0; i < 100; ++i) {
    pool.apply_async(note_and_last, variable("TEST_DIRECTORY") + "/" + std::to_string(i));
  }
  CHECK(two_run(variable("TEST_DIRECTORY")));
}

TEST_CASE("the calls of a pool end with the program") {
  for_each_process_backend([](On on) {
    const support::TempDir dir;
    Program program("(child) ends with a static pool", on, dir);
    CHECK(program.ends_within(20s));
    CAPTURE(program.errors());
    CHECK(program.exit_code() == 0);
    check_two_gone(dir);
  });
}

TEST_CASE("(child) is killed with calls under way" * doctest::skip()) {
  const auto executor = make_executor(variable_backend(), {.max_workers = 2});
  for (int i = 0; i < 10; ++i) {
    executor->submit(note_and_last, variable("TEST_DIRECTORY") + "/" + std::to_string(i));
  }
  std::this_thread::sleep_for(1h);
}

TEST_CASE("a program that is killed leaves no worker of an executor") {
  for_each_process_backend([](On on) {
    const support::TempDir dir;
    Program program("(child) is killed with calls under way", on, dir);
    REQUIRE(two_run(dir.path()));
    program.signal(SIGKILL);
    CHECK(program.ends_within(10s));
    check_two_gone(dir);
  });
}

TEST_CASE("a forked child uses an executor anew, and its parent goes on") {
  for_each_backend([](On on) {
    const support::TempDir dir;
    const std::string end = dir / "end";
    const auto executor = make_executor(on, {.max_workers = 1});
    CHECK(executor->submit(square, 2).result() == 4);
    const auto runs = executor->submit(note_until, (dir / "mark").string(), end);
    REQUIRE(support::within(20s, [&] { return std::filesystem::exists(dir / "mark"); }));
    const auto queued = executor->submit(square, 3);
    const auto done = executor->submit(square, 4);
    support::Child child([&] {
      if (executor->submit(square, 5).result(20s) != 25) ::_exit(10);
      int expected = 0;
      for (const int x : executor->map(std::views::iota(0, 5), square)) {
        if (x != expected * expected) ::_exit(11);
        ++expected;
      }
      for (const auto& call : {runs, queued}) {
        if (!is<Cancelled>(error_of([&] { call.result(5s); }))) ::_exit(12);
        if (!is<Cancelled>(error_of([&] {
              static_cast<void>(call.cancel());
              call.result();
            }))) {
          ::_exit(13);
        }
      }
      executor->shutdown();
      if (!is<BadArgument>(error_of([&] { executor->submit(square, 1); }))) ::_exit(14);
    });
    CHECK(child.wait_for(20s) == 0);
    support::spill(end, "x");
    CHECK(runs.result(20s) == 1);
    CHECK(queued.result(20s) == 9);
    CHECK(done.result(20s) == 16);
    CHECK(executor->submit(square, 6).result(20s) == 36);
  });
}

// A wait for several futures looked at none of them.
TEST_CASE("in a forked child no wait for calls of the parent is for ever") {
  for_each_backend([](On on) {
    const support::TempDir dir;
    const std::string end = dir / "end";
    const auto executor = make_executor(on, {.max_workers = 1});
    const auto other = make_executor(on, {.max_workers = 1, .retries = 1});
    const std::vector calls{executor->submit(note_until, (dir / "mark").string(), end),
                            executor->submit(square, 3), other->submit(square, 4)};
    REQUIRE(support::within(20s, [&] { return std::filesystem::exists(dir / "mark"); }));
    calls.back().wait();
    support::Child child([&] {
      static_cast<void>(error_of([&] { wait(calls); }));
      static_cast<void>(error_of([&] { wait(std::vector{calls[0], calls[1]}); }));
      static_cast<void>(error_of([&] {
        for (const auto& call : as_completed(calls)) static_cast<void>(call.done());
      }));
      static_cast<void>(error_of([&] { static_cast<void>(calls[0].exception()); }));
      static_cast<void>(error_of([&] { calls[0].wait(); }));
    });
    CHECK(child.wait_for(10s) == 0);
    support::spill(end, "x");
    CHECK(wait(calls).done.size() == 3);
  });
}

TEST_CASE("a forked child ends without the parent's calls, and may drop its executors") {
  for_each_backend([](On on) {
    const support::TempDir dir;
    const std::string end = dir / "end";
    std::unique_ptr<Executor> executor = make_executor(on, {.max_workers = 1});
    const auto runs = executor->submit(note_until, (dir / "mark").string(), end);
    REQUIRE(support::within(20s, [&] { return std::filesystem::exists(dir / "mark"); }));
    support::Child drops([&] { executor.reset(); });
    CHECK(drops.wait_for(20s) == 0);
    // To LeakSanitizer, what the parent has for itself is lost in the child.
    if (!support::sanitized) {
      support::Child exits([&] { std::exit(3); });
      CHECK(exits.wait_for(20s) == 3);
    }
    support::Child kills([&] { executor->terminate_workers(); });
    CHECK(kills.wait_for(20s) == 0);
    CHECK_FALSE(runs.done());
    support::spill(end, "x");
    CHECK(runs.result(20s) == 1);
    CHECK(executor->submit(square, 6).result(20s) == 36);
  });
}

TEST_CASE("a forked child has callbacks, pools and the reusable executor of its own") {
  const HardLimit limit;
  ThreadPool threads(2);
  Pool processes(1);
  CHECK(threads.apply(square, 2) == 4);
  CHECK(processes.apply(square, 2) == 4);
  CHECK(get_reusable_executor({.max_workers = 1}).submit(square, 2).result() == 4);
  threads.apply_async(delayed(square)(1), {.callback = [](int) {}}).get();
  support::Child child([&] {
    if (threads.apply(square, 3) != 9) ::_exit(10);
    if (processes.apply(square, 3) != 9) ::_exit(11);
    if (get_reusable_executor({.max_workers = 1}).submit(square, 3).result() != 9) ::_exit(12);
    Promise<int> heard;
    threads.apply_async(delayed(square)(4), {.callback = [&](int x) { heard.set_value(x); }});
    if (heard.future().result(10s) != 16) ::_exit(13);
  });
  CHECK(child.wait_for(30s) == 0);
  CHECK(threads.apply(square, 3) == 9);
  CHECK(processes.apply(square, 3) == 9);
}
