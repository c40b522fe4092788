// SPDX-License-Identifier: BSD-3-Clause
//
// The library that plain_host.cpp loads.
#include <hoist/parallel.hpp>
#include <hoist/process.hpp>
#include <hoist/shared.hpp>
#include <hoist/worker.hpp>

#include <unistd.h>

#include <cstdio>
#include <exception>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

using hoist::Parallel;
using hoist::ParallelOptions;

const ParallelOptions options{.n_jobs = 2, .backend = "spawn"};

class Unknown : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

void expect(bool right, const char* what) {
  if (!right) throw std::logic_error(std::string("wrong: ") + what);
}

int square(int x) { return hoist::in_worker() ? x * x : -1; }

void run_results() {
  expect(Parallel(options).map(std::vector{1, 2, 3}, square) == std::vector{1, 4, 9}, "squares");
  // A loop in a worker starts workers of its own.
  const auto nested = Parallel(options).map(std::vector{1}, [](int x) {
    return Parallel({.n_jobs = 2, .backend = "spawn"}).map(std::vector{x, 2}, square);
  });
  expect(nested[0] == std::vector{1, 4}, "nested squares");
  for (const int pid : Parallel(options).map(std::vector(8, 0), [](int) { return ::getpid(); })) {
    std::printf("%d\n", pid);
  }
}

void run_errors() {
  try {
    Parallel(options).map(std::vector{1, 2}, [](int) -> int { throw Unknown("a task's error"); });
    expect(false, "no error");
  } catch (const hoist::RemoteError& error) {
    expect(error.text() == "a task's error", error.what());
    std::printf("%s\n", error.stack().c_str());
  }
}

void run_deaths() {
  const auto outcomes = Parallel(options).map_outcomes(std::vector{0, 1, 2}, [](int x) {
    std::printf("%d\n", ::getpid());
    std::fflush(stdout);
    if (x == 1) ::_exit(7);
    return x;
  });
  expect(outcomes[2].value() == 2, "the other tasks");
  try {
    static_cast<void>(outcomes[1].value());
    expect(false, "no death");
  } catch (const hoist::WorkerDied& died) {
    expect(died.exit_code() == 7, died.what());
  }
}

void run_processes() {
  for (const auto method : {hoist::StartMethod::spawn, hoist::StartMethod::forkserver}) {
    const hoist::SharedValue<int> seen(0);
    const auto tell = [](const hoist::SharedValue<int>& to, int x) {
      to.set(hoist::in_worker() ? -1 : x);
      // A process of a process.
      hoist::Process inner([](const hoist::SharedValue<int>& value) { ++value; }, to);
      inner.start();
      inner.join();
    };
    hoist::Process process({.start_method = method}, tell, seen, 6);
    process.start();
    process.join();
    expect(process.exitcode() == 0 && seen.get() == 7, "a process");
  }
}

void run_process_of_host(int (*of_host)(int)) {
  for (const auto method : {hoist::StartMethod::spawn, hoist::StartMethod::forkserver}) {
    hoist::Process process({.start_method = method}, of_host, 1);
    process.start();
    process.join();
    expect(process.exitcode() == 1, "a function of the program");
  }
}

/// A function of the program, which workers don't have.
void run_of_host(int (*of_host)(int)) {
  try {
    Parallel(options).map(std::vector{1, 2}, of_host);
    expect(false, "no error");
  } catch (const hoist::CannotTravel& error) {
    std::fprintf(stderr, "%s\n", error.what());
  }
}

}  // namespace

extern "C" __attribute__((visibility("default"))) int run_loop(const char* what,
                                                               int (*of_host)(int)) {
  try {
    const std::map<std::string, void (*)()> loops{{"results", run_results},
                                                  {"errors", run_errors},
                                                  {"deaths", run_deaths},
                                                  {"processes", run_processes}};
    if (loops.contains(what)) {
      loops.at(what)();
    } else if (what == std::string("process_of_host")) {
      run_process_of_host(of_host);
    } else {
      run_of_host(of_host);
    }
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "loop: %s\n", error.what());
    return 1;
  }
}
