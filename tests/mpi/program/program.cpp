// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/array.hpp>
#include <hoist/delayed.hpp>
#include <hoist/error.hpp>
#include <hoist/executor.hpp>
#include <hoist/parallel.hpp>
#include <hoist/parallel_config.hpp>
#include <hoist/shared.hpp>
#include <hoist/this_task.hpp>

#include <fcntl.h>
#include <mpi.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <functional>
#include <map>
#include <ranges>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "support/large_arrays.hpp"

// What tests/mpi starts under mpirun: the first argument says what rank 0 does.

using namespace hoist;
using support::multiples;
using support::total;
using namespace std::chrono_literals;

namespace {

int square(int x) { return x * x; }

void loop() {
  long sum = 0;
  for (const int x : Parallel()(std::views::iota(0, 1000) |
                                std::views::transform([](int i) { return delayed(square)(i); }))) {
    sum += x;
  }
  std::printf("sum %ld\n", sum);
}

void print(const std::exception& error) { std::printf("error: %s\n", error.what()); }

int die_at_7(int x) {
  if (x == 7) {
    std::signal(SIGSEGV, SIG_DFL);
    std::raise(SIGSEGV);
  }
  return x;
}

int say(int x) {
  std::printf("out %d\n", x);
  std::fprintf(stderr, "err %d\n", x);
  return x;
}

/// Task 5 ends the worker host, which is the parent of the process that runs it: once, if a file
/// that it leaves says so, or always.
int end_host(int x, const std::string& once) {
  if (x == 5 && (once.empty() || ::close(::open(once.c_str(), O_CREAT | O_EXCL, 0600)) == 0)) {
    ::kill(::getppid(), SIGKILL);
    std::this_thread::sleep_for(20s);
  }
  return x;
}

int lose_hosts(const ParallelOptions& options, const char* once) {
  std::vector<decltype(delayed(end_host)(0, std::string()))> calls;
  for (int i = 0; i < 100; ++i) calls.push_back(delayed(end_host)(i, std::string(once)));
  try {
    long sum = 0;
    for (const int x : Parallel(options)(calls)) sum += x;
    std::printf("sum %ld\n", sum);
  } catch (const WorkerDied& error) {
    print(error);
  }
  return loop(), 0;
}

/// Task 5 stops the worker host for longer than it may be silent, once.
int silence_host(int x, const std::string& directory) {
  const auto made = [&](const char* name) {
    return ::close(::open((directory + name).c_str(), O_CREAT | O_EXCL, 0600)) == 0;
  };
  if (x == 5 && made("/stopped")) {
    ::kill(::getppid(), SIGSTOP);
    std::this_thread::sleep_for(13s);
    ::kill(::getppid(), SIGCONT);
    made("/continued");
  }
  return x;
}

int silent(const std::string& directory) {
  long sum = 0;
  for (const int x : Parallel()(std::views::iota(0, 100) | std::views::transform([&](int i) {
                                  return delayed(silence_host)(i, directory);
                                }))) {
    sum += x;
  }
  const auto has_continued = [&] {
    return ::access((directory + "/continued").c_str(), F_OK) == 0;
  };
  std::printf("sum %ld%s\n", sum, has_continued() ? " too late" : "");
  while (!has_continued()) std::this_thread::sleep_for(50ms);
  std::this_thread::sleep_for(200ms);  // what the host has to say comes in the midst of the loop
  return loop(), 0;
}

void arrays() {
  Array<double> a({1 << 20});
  for (int i = 0; i < 1 << 20; ++i) a.data()[i] = i % 7;
  std::vector<decltype(delayed(total)(a, 0))> calls;
  for (int k = 0; k < 8; ++k) calls.push_back(delayed(total)(a, k));
  const double expected = total(a, 0);
  bool right = true;
  int k = 0;
  for (const double sum : Parallel()(calls)) right = right && sum == expected + k++;
  k = 0;
  for (const auto& made : Parallel().map(std::views::iota(0, 3), multiples)) {
    right = right && made.size() == 1 << 19 && made.data()[1000] == 1000.0 * k++;
  }
  std::puts(right ? "right" : "wrong");
}

const std::map<std::string, std::function<int(const char* program)>> cases = {
    {"loop", [](auto) { return loop(), 0; }},
    {"none", [](auto) { return 0; }},
    {"no_loop_3", [](auto) { return 3; }},
    {"exit_3", [](auto) -> int { loop(), std::exit(3); }},
    {"throw", [](auto) -> int { loop(), throw std::runtime_error("thrown out of main"); }},
    {"late", [](auto) { return std::this_thread::sleep_for(1500ms), loop(), 0; }},
    {"own_mpi",
     [](auto) {
       MPI_Init(nullptr, nullptr);
       loop();
       MPI_Finalize();
       return std::puts("after"), 0;
     }},
    {"own_mpi_no_loop",
     [](auto) {
       MPI_Init(nullptr, nullptr);
       MPI_Finalize();
       return std::puts("after"), 0;
     }},
    {"too_late",
     [](auto) {
       MPI_Init(nullptr, nullptr);
       MPI_Finalize();
       try {
         loop();
       } catch (const BadArgument& error) {
         print(error);
       }
       return 0;
     }},
    {"say", [](auto) { return Parallel().map(std::views::iota(0, 50), say), std::puts("end"), 0; }},
    {"crash",
     [](auto) {
       try {
         Parallel({.n_jobs = 2}).map(std::views::iota(0, 20), die_at_7);
       } catch (const WorkerDied& error) {
         print(error);
       }
       return loop(), 0;
     }},
    {"child",
     [](const char* program) {
       loop();
       std::fflush(stdout);
       return std::system((std::string(program) + " loop").c_str()) == 0 ? 0 : 9;
     }},
    {"arrays", [](auto) { return arrays(), 0; }},
    {"jobs", [](auto) { return std::printf("jobs %d\n", effective_n_jobs()), 0; }},
    {"executor",
     [](auto) {
       BackendExecutor executor("mpi", {.n_jobs = 2});
       int sum = 0;
       std::vector<Future<int>> futures;
       for (int i = 0; i < 100; ++i) futures.push_back(executor.submit(square, i));
       for (auto& future : futures) sum += future.result();
       return std::printf("sum %d\n", sum), 0;
     }},
    {"lost", [](auto) { return lose_hosts({}, std::getenv("ONCE")); }},
    {"lost_fail",
     [](auto) { return lose_hosts({.on_lost_host = OnLostHost::fail}, std::getenv("ONCE")); }},
    {"silent", [](auto) { return silent(std::getenv("DIRECTORY")); }},
    {"poison", [](auto) { return lose_hosts({}, ""); }},
    {"shared",
     [](auto) {
       const auto memory = Array<double>::shared({10});
       try {
         Parallel()(std::vector{delayed(total)(memory, 1)});
       } catch (const CannotTravel& error) {
         print(error);
       }
       return 0;
     }},
};

}  // namespace

int main(int argc, char** argv) {
  const auto found = cases.find(argc > 1 ? argv[1] : "loop");
  return found != cases.end() ? found->second(argv[0]) : 77;
}
