// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/array.hpp>
#include <hoist/delayed.hpp>
#include <hoist/error.hpp>
#include <hoist/parallel.hpp>
#include <hoist/shared.hpp>
#include <hoist/slurm.hpp>
#include <hoist/this_task.hpp>

#include <fcntl.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <functional>
#include <map>
#include <ranges>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "support/large_arrays.hpp"

// What tests/slurm starts: the first argument says what it does, the second is the journal.

using namespace hoist;
using support::multiples;
using support::total;
using namespace std::chrono_literals;

namespace {

int square(int x) { return x * x; }

void print(const std::exception& error) { std::printf("error: %s\n", error.what()); }

std::vector<int> numbers(int n) {
  std::vector<int> all;
  for (int i = 0; i < n; ++i) all.push_back(i);
  return all;
}

/// Leaves a mark in a directory, one for each run.
void mark(const std::string& where, int task) {
  std::string name = where + "/" + std::to_string(task) + ".XXXXXX";
  ::close(::mkstemp(name.data()));
}

void loop() {
  long sum = 0;
  for (const int x : Parallel({.batch_size = 5}).map(numbers(20), square)) sum += x;
  std::printf("sum %ld\n", sum);
}

/// Large arguments and results.
void arrays() {
  const Array<double> x = multiples(2);
  std::vector<decltype(delayed(total)(x, 0))> calls;
  for (int j = 0; j < 3; ++j) calls.push_back(delayed(total)(x, j));
  for (const double sum : Parallel()(calls)) std::printf("total %.0f\n", sum);
  for (const auto& made : Parallel().map(numbers(3), multiples)) {
    std::printf("made %zu %.0f\n", made.size(), made.data()[100]);
  }
}

int fail_at_2(int x) {
  if (x == 2) throw std::out_of_range("task 2 throws");
  return x;
}

int crash_at_2(int x) {
  if (x == 2) {
    std::fprintf(stderr, "about to crash\n");
    std::signal(SIGSEGV, SIG_DFL);
    std::raise(SIGSEGV);
  }
  return x;
}

/// The element that runs the task is ended, as Slurm would see it.
int end_element_at_2(int x) {
  if (x == 2) {
    std::printf("about to end\n");
    std::fflush(stdout);
    std::this_thread::sleep_for(300ms);
    ::kill(::getppid(), SIGKILL);
    std::this_thread::sleep_for(20s);
  }
  return x;
}

int sleep_at_2(int x) {
  if (x == 2) std::this_thread::sleep_for(300s);
  return x;
}

template <class F>
void outcomes(int n, F f, ParallelOptions options = {}) {
  std::vector<decltype(delayed(f)(0))> calls;
  for (int i = 0; i < n; ++i) calls.push_back(delayed(f)(i));
  for (auto& outcome : Parallel(options).outcomes(calls)) {
    try {
      std::printf("%d\n", outcome.value());
    } catch (const std::out_of_range& error) {
      std::printf("out of range: %s\n", error.what());
    } catch (const SlurmJobEnded& error) {
      std::printf("state %d: %s\n", static_cast<int>(error.state()), error.what());
    } catch (const WorkerDied& error) {
      std::printf("died %d: %s\n", error.signal(), error.what());
    } catch (const std::exception& error) {
      print(error);
    }
  }
}

/// Tasks that take a while and are counted, one mark for each run.
int counted(int x, const std::string& marks, double seconds) {
  std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
  mark(marks, x);
  return x;
}

void count(const std::string& marks, double seconds, int n = 12) {
  long sum = 0;
  std::vector<decltype(delayed(counted)(0, marks, seconds))> calls;
  for (int i = 0; i < n; ++i) calls.push_back(delayed(counted)(i, marks, seconds));
  for (const int x : Parallel()(calls)) sum += x;
  std::printf("sum %ld\n", sum);
}

/// Task 5 ends the host of its worker, once: by that signal.
std::string end_host(int x, const std::string& once, int signal) {
  std::this_thread::sleep_for(100ms);
  if (x == 5 && ::close(::open(once.c_str(), O_CREAT | O_EXCL, 0600)) == 0) {
    ::kill(::getppid(), signal);
    std::this_thread::sleep_for(60s);
  }
  const char* const node = std::getenv("SLURMD_NODENAME");
  return node != nullptr ? node : "none";
}

/// Where tasks have run.
void nodes(const std::string& once, int signal, int n = 60) {
  std::map<std::string, int> counts;
  std::vector<decltype(delayed(end_host)(0, once, signal))> calls;
  for (int i = 0; i < n; ++i) calls.push_back(delayed(end_host)(i, once, signal));
  for (const auto& node : Parallel()(calls)) ++counts[node];
  int sum = 0;
  for (const auto& [node, count] : counts) sum += count;
  std::printf("%d tasks on %zu nodes\n", sum, counts.size());
}

/// Cancels the worker hosts, when no loop has wanted any for a while, and waits for their end.
void cancel_hosts() {
  std::this_thread::sleep_for(7s);
  const char* const command =
      "jobs=$(squeue --noheader --format=%A | sort -u); scancel $jobs; "
      "for job in $jobs; do while squeue --noheader --jobs=$job 2>/dev/null | grep -q .; do "
      "sleep 0.1; done; done";
  if (std::system(command) != 0) std::printf("scancel failed\n");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 1) {  // as the guide starts it
    loop();
    return 0;
  }
  if (argc < 3) return 2;
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  const std::string what = argv[1];
  try {
    const char* const time = std::getenv("TEST_TIME");
    const char* const partition = std::getenv("TEST_PARTITION");
    const char* const hosts = std::getenv("TEST_HOSTS");
    use_slurm({.mode = hosts != nullptr ? SlurmMode::launcher : SlurmMode::array,
               .directory = argv[2],
               .partition = partition != nullptr ? partition : "",
               .time = std::chrono::minutes(time != nullptr ? std::atoi(time) : 0),
               .cores = hosts != nullptr ? 2U : 1U,
               .hosts = static_cast<unsigned>(hosts != nullptr ? std::atoi(hosts) : 1)});
    if (what == "loop" || what == "again") loop();
    if (what == "again") {
      cancel_hosts();
      loop();
    }
    if (what == "arrays") arrays();
    if (what == "throw") outcomes(4, fail_at_2);
    if (what == "crash") outcomes(4, crash_at_2);
    if (what == "crash_in_batch") outcomes(4, crash_at_2, {.batch_size = 4});
    if (what == "one") outcomes(1, square);
    if (what == "end") outcomes(4, end_element_at_2, {.batch_size = 4});
    if (what == "time") outcomes(4, sleep_at_2, {.task_timeout = 1});
    if (what == "raise") Parallel().map(numbers(4), fail_at_2);
    if (what == "sleep") Parallel().map(numbers(4), sleep_at_2);
    if (what == "kill_host") nodes(argv[3], SIGKILL);
    if (what == "end_host") nodes(argv[3], SIGTERM);
    if (what == "nodes") nodes("/", 0, std::atoi(argv[3]));
    if (what == "many") Parallel({.n_jobs = 1001, .batch_size = 1}).map(numbers(1001), square);
    if (what == "nothing") std::printf("nothing\n");
    if (what == "count") count(argv[3], std::atof(argv[4]));
  } catch (const std::exception& error) {
    print(error);
    return 1;
  }
  return 0;
}
