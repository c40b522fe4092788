// SPDX-License-Identifier: BSD-3-Clause
#include <linux/futex.h>
#include <sched.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <hoist/parallel.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <csignal>
#include <cstring>
#include <limits>
#include <numeric>
#include <utility>
#include <vector>

#include "bench.hpp"

extern "C" char** environ;

namespace {

using namespace hoist;

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

/// The child of raw_spawn: answers as soon as the program is loaded, and exits.
[[gnu::constructor]] void answer(int argc, char** argv, char**) {
  if (argc == 2 && std::strcmp(argv[1], "--answer") == 0) {
    static_cast<void>(!::write(1, "x", 1));
    ::_exit(0);
  }
}

int increment(int x) { return x + 1; }

double first_of(const std::vector<double>& numbers, std::size_t i = 0) {
  return numbers.size() > i ? numbers[i] : nan;
}

/// Seconds of one raw round trip between two processes that spin on words of shared memory.
double raw_round_trip() {
  struct Words {
    alignas(64) std::atomic<std::uint32_t> ping{0};
    alignas(64) std::atomic<std::uint32_t> pong{0};
  };
  void* memory = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  auto* words = new (memory) Words;
  constexpr std::uint32_t rounds = 200000;
  const pid_t child = ::fork();
  if (child == 0) {
    for (std::uint32_t i = 1; i <= rounds; ++i) {
      while (words->ping.load(std::memory_order_acquire) != i) {
      }
      words->pong.store(i, std::memory_order_release);
    }
    ::_exit(0);
  }
  const double time = bench::seconds([&] {
    for (std::uint32_t i = 1; i <= rounds; ++i) {
      words->ping.store(i, std::memory_order_release);
      while (words->pong.load(std::memory_order_acquire) != i) {
      }
    }
  });
  ::waitpid(child, nullptr, 0);
  ::munmap(memory, 4096);
  return time / rounds;
}

void wait_while(std::atomic<std::uint32_t>& word, std::uint32_t value) {
  while (word.load() == value) ::syscall(SYS_futex, &word, FUTEX_WAIT, value, nullptr, nullptr, 0);
}
void set_and_wake(std::atomic<std::uint32_t>& word, std::uint32_t value) {
  word.store(value);
  ::syscall(SYS_futex, &word, FUTEX_WAKE, 1, nullptr, nullptr, 0);
}

/// How long the partner gets no work, so that it sleeps.
constexpr useconds_t asleep_after = 2000;

/// Keeps this thread on one processor, for a scope.
class OnProcessor {
 public:
  explicit OnProcessor(unsigned number) {
    ::sched_getaffinity(0, sizeof before_, &before_);
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(number, &one);
    ::sched_setaffinity(0, sizeof one, &one);
  }
  ~OnProcessor() { ::sched_setaffinity(0, sizeof before_, &before_); }
  OnProcessor(const OnProcessor&) = delete;
  OnProcessor& operator=(const OnProcessor&) = delete;

 private:
  cpu_set_t before_;
};

/// Seconds of a raw round trip between two processes that sleep on words of shared memory, each on
/// a processor of its own: on one they would take turns, which is quicker but no parallel loop.
double raw_sleeping_trip() {
  const OnProcessor here(0);
  void* memory = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  auto* words = static_cast<std::atomic<std::uint32_t>*>(memory);
  constexpr std::uint32_t rounds = 100;
  const pid_t child = ::fork();
  if (child == 0) {
    const OnProcessor there(1);
    for (std::uint32_t i = 1; i <= rounds; ++i) {
      wait_while(words[0], i - 1);
      set_and_wake(words[32], i);
    }
    ::_exit(0);
  }
  std::vector<double> trips;
  for (std::uint32_t i = 1; i <= rounds; ++i) {
    ::usleep(asleep_after);
    trips.push_back(bench::seconds([&] {
      set_and_wake(words[0], i);
      wait_while(words[32], i - 1);
    }));
  }
  ::waitpid(child, nullptr, 0);
  ::munmap(memory, 4096);
  return bench::median(std::move(trips));
}

/// Seconds from posix_spawn of this binary until it has written a byte and ended.
double raw_spawn() {
  int ends[2];
  if (::pipe(ends) != 0) return nan;
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
  char name[] = "hoist_bench";
  char answer[] = "--answer";
  char* arguments[] = {name, answer, nullptr};
  pid_t pid = 0;
  const double time = bench::seconds([&] {
    ::posix_spawn(&pid, "/proc/self/exe", &actions, nullptr, arguments, environ);
    ::close(ends[1]);
    char c = 0;
    static_cast<void>(!::read(ends[0], &c, 1));
  });
  ::close(ends[0]);
  ::posix_spawn_file_actions_destroy(&actions);
  ::waitpid(pid, nullptr, 0);
  return time;
}

double repeat(int rounds, const std::function<double()>& sample) {
  std::vector<double> samples;
  for (int i = 0; i < rounds; ++i) samples.push_back(sample());
  return bench::median(std::move(samples));
}

void throughput() {
  std::vector<int> items(2000000);
  std::iota(items.begin(), items.end(), 0);
  const Parallel parallel({.n_jobs = 2, .backend = "spawn"});
  parallel.map(items, increment);
  const double ours = static_cast<double>(items.size()) / repeat(5, [&] {
                        return bench::seconds([&] { parallel.map(items, increment); });
                      });
  const auto loky = bench::python(R"(
import time
from joblib import Parallel, delayed
def f(x): return x + 1
with Parallel(n_jobs=2) as p:
    p(delayed(f)(i) for i in range(1000))
    best = 0
    for r in range(3):
        t = time.perf_counter(); p(delayed(f)(i) for i in range(300000))
        best = max(best, 300000 / (time.perf_counter() - t))
    print(best)
)");
  const auto pool = bench::python(R"(
import time, multiprocessing
def f(x): return x + 1
if __name__ == '__main__':
    with multiprocessing.Pool(2) as p:
        p.map(f, range(1000))
        best = 0
        for chunk in (1000, 10000, 50000):
            for r in range(3):
                t = time.perf_counter(); p.map(f, range(1000000), chunk)
                best = max(best, 1000000 / (time.perf_counter() - t))
        print(best)
)");
  bench::row("spawn: empty tasks, automatic batches", "tasks/s", ours, "joblib loky",
             first_of(loky), bench::Goal::at_least, 8);
  bench::row("spawn: empty tasks, automatic batches", "tasks/s", ours, "multiprocessing.Pool.map",
             first_of(pool), bench::Goal::at_least, 2);
}

void single_tasks() {
  std::vector<int> items(100000);
  std::iota(items.begin(), items.end(), 0);
  const Parallel two({.n_jobs = 2, .backend = "spawn", .batch_size = 1});
  const Parallel one({.n_jobs = 1, .backend = "spawn", .batch_size = 1});
  two.map(items, increment);
  const double rate = static_cast<double>(items.size()) /
                      repeat(5, [&] { return bench::seconds([&] { two.map(items, increment); }); });
  const auto loky = bench::python(R"(
import time
from joblib import Parallel, delayed
def f(x): return x + 1
with Parallel(n_jobs=2, batch_size=1) as p:
    p(delayed(f)(i) for i in range(100))
    t = time.perf_counter(); p(delayed(f)(i) for i in range(5000))
    print(5000 / (time.perf_counter() - t))
)");
  bench::row("spawn: empty tasks, batch_size = 1", "tasks/s", rate, "joblib loky", first_of(loky),
             bench::Goal::at_least, 100);
  // One task in flight at a time. The distance between two processors depends on where the host
  // places them, so each sample is paired with a raw one, and the row shows the median pair.
  std::vector<std::pair<double, double>> trips;
  for (int i = 0; i < 9; ++i) {
    const double ours = bench::seconds([&] { one.map(items, increment); });
    trips.emplace_back(ours / static_cast<double>(items.size()), raw_round_trip());
  }
  std::ranges::sort(trips, {}, [](const auto& pair) { return pair.first / pair.second; });
  const auto& [trip, raw_trip] = trips[trips.size() / 2];
  bench::row("spawn: a task on one warm worker, batch_size = 1", "us", trip * 1e6,
             "raw spinning round trip", raw_trip * 1e6, bench::Goal::at_most, 3);
  std::vector<double> sleepy;
  for (int i = 0; i < 100; ++i) {
    ::usleep(asleep_after);
    sleepy.push_back(bench::seconds([&] { one.map(std::views::single(i), increment); }));
  }
  bench::row("spawn: a loop of one task, the worker asleep", "us", bench::median(sleepy) * 1e6,
             "raw futex round trip", repeat(3, raw_sleeping_trip) * 1e6, bench::Goal::at_most, 1.3);
}

void start() {
  int round = 0;
  const double ours = repeat(9, [&] {
    // Separate options give separate workers.
    const Parallel parallel({.n_jobs = 2,
                             .backend = "spawn",
                             .workers = {.env = {{"ROUND", std::to_string(round++)}},
                                         .idle_timeout = std::chrono::milliseconds(1)}});
    return bench::seconds([&] { parallel.map(std::vector{1, 2}, increment); });
  });
  const double raw = repeat(9, raw_spawn);
  const auto loky = bench::python(R"(
import time
from joblib import Parallel, delayed
def f(x): return x + 1
t = time.perf_counter(); Parallel(n_jobs=2)(delayed(f)(i) for i in range(2))
print(time.perf_counter() - t)
)");
  bench::row("spawn: first loop with 2 workers", "ms", ours * 1e3, "joblib loky",
             first_of(loky) * 1e3, bench::Goal::at_most, 1.0 / 40);
  bench::row("spawn: first loop with 2 workers", "ms", ours * 1e3,
             "raw posix_spawn until it answers", raw * 1e3, bench::Goal::at_most, 2.5);
  const Parallel one({.n_jobs = 1, .backend = "spawn"});
  const double replaced = repeat(9, [&] {
    const int pid = one.map(std::vector{0}, [](int) { return static_cast<int>(::getpid()); })[0];
    return bench::seconds([&] {
      ::kill(pid, SIGKILL);
      while (one.map(std::vector{0}, [](int) { return static_cast<int>(::getpid()); })[0] == pid) {
      }
    });
  });
  bench::row("spawn: from SIGKILL to a working replacement", "ms", replaced * 1e3,
             "raw posix_spawn until it answers", raw * 1e3, bench::Goal::at_most, 2.5);
}

double element(const Array<const double>& array, std::size_t i) { return array[i]; }

Array<double> counted(std::size_t n) {
  auto array = Array<double>::uninitialized({n});
  for (std::size_t i = 0; i < n; ++i) array[i] = static_cast<double>(i);
  return array;
}

double copy_to_fresh_memfd(const Array<double>& array) {
  const int fd = ::memfd_create("bench", MFD_CLOEXEC);
  const double time = bench::seconds([&] {
    const auto* from = reinterpret_cast<const char*>(array.data());
    for (std::size_t at = 0; at < array.nbytes();) {
      const ssize_t written = ::write(fd, from + at, array.nbytes() - at);
      if (written <= 0) break;
      at += static_cast<std::size_t>(written);
    }
  });
  ::close(fd);
  return time;
}

void arrays() {
  const Parallel parallel({.n_jobs = 2, .backend = "spawn"});
  parallel.map(std::vector{1, 2, 3, 4}, increment);
  bench::Python joblib(R"(
import numpy
from joblib import Parallel, delayed
def f(a, i): return a[i]
p = Parallel(n_jobs=2)
p.__enter__()
p(delayed(abs)(i) for i in range(4))
def fresh():
    global a
    a = numpy.arange(1 << 27, dtype=float)
def loop(): p(delayed(f)(a, i * 1000) for i in range(8))
)");
  std::vector<std::vector<double>> times(5);
  for (int round = 0; round < 6; ++round) {
    const auto array = counted(std::size_t{1} << 27);
    const Array<const double> data = array;
    const auto loop = [&] {
      return bench::seconds([&] {
        parallel(
            std::views::iota(std::size_t{0}, std::size_t{8}) |
            std::views::transform([&](std::size_t i) { return delayed(element)(data, i * 1000); }));
      });
    };
    // The first measurement may include the time the host takes to provide memory.
    const bool copy_first = round % 2 == 0;
    if (copy_first) times[0].push_back(copy_to_fresh_memfd(array));
    times[1].push_back(loop());
    if (!copy_first) times[0].push_back(copy_to_fresh_memfd(array));
    times[2].push_back(repeat(5, loop));
    joblib.run("fresh()");
    times[3].push_back(bench::seconds([&] { joblib.run("loop()"); }));
    times[4].push_back(bench::seconds([&] { joblib.run("loop()"); }));
  }
  const double there = joblib.works() ? 1 : nan;
  const double first = bench::median(times[1]);
  const double next = bench::median(times[2]);
  bench::row("spawn: 1 GiB array to 8 tasks", "s", first, "one write(2) into a fresh memfd",
             bench::median(times[0]), bench::Goal::at_most, 1.2);
  bench::row("spawn: 1 GiB array to 8 tasks", "s", first, "joblib's first call",
             there * bench::median(times[3]), bench::Goal::at_most, 1.0 / 3);
  bench::row("spawn: 1 GiB array to 8 tasks, next loop", "ms", next * 1e3, "joblib's next call",
             there * bench::median(times[4]) * 1e3, bench::Goal::at_most, 0.1);
}

struct Named {
  std::string name;
  double value = 0;
};
double last_value(const std::vector<Named>& all) { return all.back().value; }
double last_element(const Array<double>& array) { return array[array.size() - 1]; }

/// 200 tasks that read one argument.
template <class F, class T>
void read_by_all(const Parallel& parallel, F f, const T& argument) {
  parallel(std::views::iota(0, 200) |
           std::views::transform([&](int) { return delayed(f)(std::cref(argument)); }));
}

void structured() {
  std::vector<Named> named;
  for (int i = 0; i < 60000; ++i) named.push_back({"name of item " + std::to_string(i), 1.0 * i});
  const auto array = counted(330000);
  const Parallel parallel({.n_jobs = 2, .backend = "spawn"});
  bench::Python joblib(R"(
from joblib import Parallel, delayed
def f(a): return a[-1][1]
named = [("name of item %d" % i, 1.0 * i) for i in range(60000)]
p = Parallel(n_jobs=2)
p.__enter__()
p(delayed(abs)(i) for i in range(4))
)");
  const auto times =
      bench::medians(5, {[&] { read_by_all(parallel, last_value, named); },
                         [&] { read_by_all(parallel, last_element, array); },
                         [&] { joblib.run("p(delayed(f)(named) for i in range(10))"); }});
  bench::row("spawn: 60,000 strings to 200 tasks", "ms", times[0] * 1e3, "an Array of their size",
             times[1] * 1e3, bench::Goal::at_most, 1.3);
  bench::row("spawn: 60,000 strings to 200 tasks", "ms", times[0] * 1e3,
             "joblib loky, from 10 tasks", joblib.works() ? times[2] * 20e3 : nan,
             bench::Goal::at_most, 0.1);
}

Array<double> filled(std::size_t n) {
  auto array = Array<double>::uninitialized({n});
  std::fill(array.data(), array.data() + n, 1.5);
  return array;
}

void results() {
  const std::size_t n = (std::size_t{100} << 20) / sizeof(double);
  const double fresh = repeat(3, [&] {
    return bench::seconds([&] {
      for (int i = 0; i < 8; ++i) {
        const int fd = ::memfd_create("bench", MFD_CLOEXEC);
        static_cast<void>(!::ftruncate(fd, static_cast<off_t>(n * sizeof(double))));
        void* memory =
            ::mmap(nullptr, n * sizeof(double), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        std::fill_n(static_cast<double*>(memory), n, 1.5);
        ::munmap(memory, n * sizeof(double));
        ::close(fd);
      }
    });
  });
  const Parallel parallel({.n_jobs = 2, .backend = "spawn"});
  const std::vector<std::size_t> sizes(8, n);
  parallel.map(std::vector{1, 2, 3, 4}, increment);
  const double ours =
      repeat(3, [&] { return bench::seconds([&] { parallel.map(sizes, filled); }); });
  const auto loky = bench::python(R"(
import time, numpy
from joblib import Parallel, delayed
def f(n): return numpy.full(n, 1.5)
with Parallel(n_jobs=2) as p:
    p(delayed(abs)(i) for i in range(4))
    t = time.perf_counter(); p(delayed(f)(13107200) for i in range(8))
    print(time.perf_counter() - t)
)");
  bench::row("spawn: 8 results of 100 MiB", "s", ours, "writing them into fresh memfds", fresh,
             bench::Goal::at_most, 1.2);
  bench::row("spawn: 8 results of 100 MiB", "s", ours, "joblib loky", first_of(loky),
             bench::Goal::at_most, 1.0 / 3);
}

void run() {
  throughput();
  single_tasks();
  start();
  arrays();
  structured();
  results();
}

const bench::Group group("spawn", run);

}  // namespace
