// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/lock.hpp>
#include <hoist/process.hpp>
#include <hoist/shared.hpp>
#include <hoist/sync.hpp>

#include <pthread.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <limits>
#include <mutex>
#include <new>
#include <string>
#include <vector>

#include "bench.hpp"

// What processes share, beside the bare machine and Python's multiprocessing.

namespace {

using bench::Goal;

constexpr int rounds = 15;
constexpr int many = 1'000'000;
constexpr int contended = 200'000;

/// A T in memory that forked children share, for good.
template <class T>
T& in_shared_memory() {
  void* const page = ::mmap(nullptr, (sizeof(T) + 4095) / 4096 * 4096, PROT_READ | PROT_WRITE,
                            MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  return *new (page) T;
}

/// Seconds that this process and a forked one take for `work`, from the same moment on.
template <class Work>
double by_two(const Work& work) {
  auto& ready = in_shared_memory<std::atomic<int>>();
  ready.store(0);
  const pid_t child = ::fork();
  const auto run = [&] {
    ready.fetch_add(1);
    while (ready.load() < 2) {
    }
    return bench::seconds(work);
  };
  if (child == 0) {
    run();
    ::_exit(0);
  }
  const double took = run();
  ::waitpid(child, nullptr, 0);
  ::munmap(&ready, 4096);
  return took;
}

void locks() {
  pthread_mutexattr_t attributes;
  ::pthread_mutexattr_init(&attributes);
  ::pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
  ::pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
  auto& raw = in_shared_memory<pthread_mutex_t>();
  ::pthread_mutex_init(&raw, &attributes);
  const hoist::Lock lock;

  const auto alone = bench::medians(rounds, {[&] {
                                               for (int i = 0; i < many; ++i) {
                                                 const std::lock_guard held(lock);
                                               }
                                             },
                                             [&] {
                                               for (int i = 0; i < many; ++i) {
                                                 ::pthread_mutex_lock(&raw);
                                                 ::pthread_mutex_unlock(&raw);
                                               }
                                             }});
  const double each = 1e9 / many;
  bench::row("Lock, lock and unlock", "ns", alone[0] * each, "robust pthread mutex",
             alone[1] * each, Goal::at_most, 1.3);
  bench::row("Lock, lock and unlock", "ns", alone[0] * each, "limit", 60, Goal::at_most, 1);

  std::vector<double> ours;
  for (int i = 0; i < 5; ++i) {
    ours.push_back(by_two([&] {
      for (int k = 0; k < contended; ++k) {
        const std::lock_guard held(lock);
      }
    }));
  }
  const auto theirs = bench::python(R"(
import multiprocessing as mp, time
ctx = mp.get_context('fork')
lock, barrier = ctx.Lock(), ctx.Barrier(2)
def work(n):
    barrier.wait()
    for _ in range(n):
        with lock: pass
for _ in range(3):
    other = ctx.Process(target=work, args=(50000,))
    other.start()
    barrier.wait()
    t = time.perf_counter()
    for _ in range(50000):
        with lock: pass
    print((time.perf_counter() - t) / 50000)
    other.join()
)");
  const double python =
      theirs.empty() ? std::numeric_limits<double>::quiet_NaN() : bench::median(theirs);
  bench::row("Lock, contended by 2 processes", "1/s", contended / bench::median(ours),
             "multiprocessing.Lock", 1 / python, Goal::at_least, 5);
}

void values() {
  const hoist::SharedValue<long> ours(0);
  auto& raw = in_shared_memory<std::atomic<long>>();
  const auto times = bench::medians(rounds, {[&] {
                                               for (int i = 0; i < many; ++i) ours.fetch_add(1);
                                             },
                                             [&] {
                                               for (int i = 0; i < many; ++i) raw.fetch_add(1);
                                             }});
  bench::row("SharedValue<long>::fetch_add", "ns", times[0] * 1e9 / many, "std::atomic",
             times[1] * 1e9 / many, Goal::at_most, 1.1);
}

void waits() {
  const hoist::Semaphore semaphore(1);
  const auto times = bench::medians(rounds, {[&] {
                                      for (int i = 0; i < many / 10; ++i) {
                                        semaphore.acquire();
                                        semaphore.release();
                                      }
                                    }});
  const auto python = bench::python(R"(
import multiprocessing as mp, time
s = mp.get_context('fork').Semaphore(1)
for _ in range(5):
    t = time.perf_counter()
    for _ in range(100000):
        s.acquire(); s.release()
    print((time.perf_counter() - t) / 100000)
)");
  bench::row(
      "Semaphore, acquire and release", "ns", times[0] * 1e9 / (many / 10),
      "multiprocessing.Semaphore",
      python.empty() ? std::numeric_limits<double>::quiet_NaN() : bench::median(python) * 1e9,
      Goal::at_most, 1);
}

void nothing() {}

void start_and_join(hoist::StartMethod method) {
  hoist::Process process({.start_method = method}, nothing);
  process.start();
  process.join();
}

void fork_and_wait() {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(0);
  ::waitpid(child, nullptr, 0);
}

const bench::Apart do_nothing("nothing", [](int) {});

/// Runs this program, which does nothing.
void posix_spawn_and_wait() {
  char self[] = "/proc/self/exe";
  char apart[] = "--apart";
  char name[] = "nothing";
  char argument[] = "0";
  char* const arguments[] = {self, apart, name, argument, nullptr};
  pid_t child = -1;
  if (::posix_spawn(&child, self, nullptr, nullptr, arguments, environ) != 0) return;
  ::waitpid(child, nullptr, 0);
}

void starts(const std::string& parent) {
  using hoist::StartMethod;
  const auto times = bench::medians(
      rounds,
      {[] { start_and_join(StartMethod::fork); }, [] { start_and_join(StartMethod::forkserver); },
       [] { start_and_join(StartMethod::spawn); }, fork_and_wait, posix_spawn_and_wait});
  const std::string work = "Process, start and join" + parent + ", ";
  const double us = 1e6;
  bench::row(work + "fork", "us", times[0] * us, "fork and wait", times[3] * us, Goal::at_most,
             1.5);
  bench::row(work + "forkserver", "us", times[1] * us, "fork and wait", times[3] * us,
             Goal::at_most, 2);
  bench::row(work + "spawn", "us", times[2] * us, "posix_spawn and wait", times[4] * us,
             Goal::at_most, 1.3);
}

void process_starts() {
  starts("");
  const std::vector<char> memory(std::size_t{1} << 30, 'x');
  bench::keep(memory.data());
  starts(" (1 GiB)");
}

void process() {
  process_starts();
  locks();
  values();
  waits();
}

const bench::Group group("process", process);

}  // namespace
