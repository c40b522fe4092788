// SPDX-License-Identifier: BSD-3-Clause
// ctest-timeout: 1800
#include <doctest/doctest.h>
#include <hoist/error.hpp>
#include <hoist/parallel.hpp>

#include <malloc.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <set>
#include <thread>

#include "support/child_program.hpp"
#include "support/extended.hpp"
#include "support/sanitized.hpp"

using namespace hoist;
using namespace std::chrono_literals;
using support::sanitized;

namespace {

constexpr const char* all_backends[] = {"sequential", "threads", "fork", "spawn"};

struct Use {
  std::size_t descriptors = 0;
  std::size_t threads = 0;
  std::size_t processes = 0;
  std::size_t segments = 0;
  std::size_t mappings = 0;
  std::size_t resident = 0;  // bytes
};

std::size_t resident_bytes() {
  std::ifstream in("/proc/self/statm");
  std::size_t total = 0;
  std::size_t resident = 0;
  in >> total >> resident;
  return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

std::size_t count_children() {
  std::size_t count = 0;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::ifstream in(task.path() / "children");
    for (int pid = 0; in >> pid;) ++count;
  }
  return count;
}

Use now() {
  Use use;
  use.descriptors = support::count_entries("/proc/self/fd");
  use.threads = support::count_entries("/proc/self/task");
  use.processes = count_children();
  use.segments =
      std::filesystem::exists("/dev/shm") ? support::count_entries("/dev/shm") : std::size_t{0};
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) ++use.mappings;
#if !defined(__SANITIZE_ADDRESS__)
  ::malloc_trim(0);
#endif
  use.resident = resident_bytes();
  return use;
}

std::vector<double> scaled(const std::vector<double>& values, int i) {
  auto result = values;
  result[0] = i;
  return result;
}

int fail_sometimes(int i) {
  if (i == 7) throw std::runtime_error("seven");
  return i;
}

/// Loops with small tasks, large arguments and results, a failure, and a destroyed generator.
void loops(const std::string& backend, const std::vector<double>& large) {
  const Parallel parallel({.n_jobs = 2, .backend = backend});
  if (parallel.map(std::views::iota(0, 5), fail_sometimes).size() != 5) std::abort();
  const auto [a, b] = parallel(delayed(scaled)(large, 1), delayed(scaled)(large, 2));
  if (a[0] != 1 || b[0] != 2) std::abort();
  try {
    parallel.map(std::views::iota(0, 20), fail_sometimes);
    std::abort();
  } catch (const std::runtime_error&) {
  }
  auto calls = std::views::iota(0, 100) |
               std::views::transform([](int i) { return delayed([](int j) { return j; })(i); });
  for (const int value : parallel.generator(calls)) {
    if (value == 3) break;
  }
}

/// Returns when the expected number of processes are inside.
struct Meet {
  std::string directory;
  int processes = 1;
  int operator()(int) const {
    const int self = static_cast<int>(::getpid());
    support::spill(directory + "/" + std::to_string(self), "");
    support::within(30s, [&] {
      return support::count_entries(directory) >= static_cast<std::size_t>(processes);
    });
    return self;
  }
};

}  // namespace

TEST_CASE("nothing grows over many loops") {
  const int rounds = support::extended ? 2500 : (sanitized ? 10 : 20);
  const std::vector<double> large(200'000, 1.5);
  for (const std::string backend : all_backends) {
    CAPTURE(backend);
    for (int i = 0; i < 5; ++i) loops(backend, large);
    const Use before = now();
    for (int i = 0; i < rounds; ++i) loops(backend, large);
    const Use after = now();
    // Allows for one worker more or less, with its resources.
    CHECK(after.descriptors <= before.descriptors + 8);
    CHECK(after.threads <= before.threads + 1);
    // The workers of destroyed generators were killed: at most as many as one loop has.
    CHECK(after.processes <= 2);
    CHECK(after.segments <= before.segments);
    CHECK(after.mappings <= before.mappings + 30);
    if (!sanitized) CHECK(after.resident < before.resident + (std::size_t{24} << 20));
  }
}

TEST_CASE("64 threads use every backend at once") {
  for (const std::string backend : all_backends) {
    CAPTURE(backend);
    // With force_fork the caller ensures that no thread holds a lock that a child needs.
    const bool forced = backend == "fork";
    if (forced && sanitized) continue;
    std::atomic<int> good{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < (sanitized ? 8 : 64); ++t) {
      threads.emplace_back([&, t] {
        try {
          const Parallel parallel({.n_jobs = 2, .backend = backend, .force_fork = forced});
          const auto values = parallel.map(std::vector{1, 2, 3, 4}, [t](int i) { return i * t; });
          if (values == std::vector{t, 2 * t, 3 * t, 4 * t}) ++good;
        } catch (const std::exception& error) {
          std::fprintf(stderr, "%s: %s\n", backend.c_str(), error.what());
        }
      });
    }
    const auto count = static_cast<int>(threads.size());
    for (auto& thread : threads) thread.join();
    CHECK(good == count);
  }
}

TEST_CASE("a program that forks by itself can use loops in the child") {
  auto calls = std::views::iota(0, 50) |
               std::views::transform([](int i) { return delayed([](int j) { return j; })(i); });
  for (const std::string backend : all_backends) {
    CAPTURE(backend);
    const Parallel parallel({.n_jobs = 2, .backend = backend});
    CHECK(parallel(calls).size() == 50);
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      ::alarm(60);
      ::_exit(parallel(calls).size() == 50 && parallel(calls)[49] == 49 ? 0 : 1);
    }
    int status = -1;
    CHECK(::waitpid(child, &status, 0) == child);
    CHECK(status == 0);
  }
}

TEST_CASE("memory that runs out in a worker is a bad_alloc of the task") {
  if (sanitized) return;  // needs its address space
  const auto allocate = [](int i) {
    if (i != 2) return std::size_t{0};
    std::vector<char> much(std::size_t{4} << 30, 'x');
    return much.size();
  };
  const auto limit = [] {
    const rlimit to{std::size_t{1} << 30, std::size_t{1} << 30};
    ::setrlimit(RLIMIT_AS, &to);
  };
  const Parallel spawn({.n_jobs = 2, .backend = "spawn", .workers = {.initializer = limit}});
  const Parallel fork({.n_jobs = 2, .backend = "fork"});
  for (int round = 0; round < 2; ++round) {
    const auto outcomes = spawn.map_outcomes(std::views::iota(0, 5), allocate);
    for (std::size_t i = 0; i < 5; ++i) CHECK(outcomes[i].has_value() == (i != 2));
    CHECK_THROWS_AS(outcomes[2].value(), std::bad_alloc);
  }
  const auto outcomes = fork.map_outcomes(std::views::iota(0, 5), [&](int i) {
    limit();
    return allocate(i);
  });
  for (std::size_t i = 0; i < 5; ++i) CHECK(outcomes[i].has_value() == (i != 2));
  CHECK_THROWS_AS(outcomes[2].value(), std::bad_alloc);
}

TEST_CASE("a worker above its rss_limit makes way for another, and no task is lost") {
  const Parallel parallel({.n_jobs = 1,
                           .backend = "spawn",
                           .batch_size = 1,
                           .workers = {.rss_limit = std::size_t{sanitized ? 900 : 150} << 20}});
  const auto pids = parallel.map(std::views::iota(0, 12), [](int i) {
    // Leaks memory in some tasks.
    if (i % 4 == 3) {
      static volatile char* kept = nullptr;
      const std::size_t size = std::size_t{sanitized ? 1000 : 200} << 20;
      kept = new char[size];
      for (std::size_t at = 0; at < size; at += 4096) kept[at] = 1;
    }
    return static_cast<int>(::getpid());
  });
  CHECK(std::set(pids.begin(), pids.end()).size() == 3);
  for (std::size_t i = 0; i < 12; ++i) CHECK(pids[i] == pids[i / 4 * 4]);
}

// The case below runs this one in a process of its own.
TEST_CASE("program whose tasks print" * doctest::skip()) {
  Parallel({.n_jobs = 2, .backend = "spawn", .workers = {.prefix_output = true}})
      .for_each(std::views::iota(0, 20), [](int i) {
        std::printf("task %d\nline two of %d\n", i, i);
        std::fprintf(stderr, "error of %d\n", i);
      });
  Parallel({.n_jobs = 2, .backend = "spawn"}).for_each(std::views::iota(0, 20), [](int i) {
    std::printf("plain %d\n", i);
  });
}

TEST_CASE("what tasks print comes in whole lines, with the worker's number if that is wanted") {
  support::ChildProgram program("program whose tasks print");
  REQUIRE(program.ends_within(60s));
  CHECK(program.exit_code() == 0);
  const auto lines = [](const std::string& text) {
    std::set<std::string> all;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);) {
      all.insert(line.starts_with("[") && line.find("] ") != std::string::npos &&
                         line.find("doctest") == std::string::npos
                     ? line.substr(line.find("] "))
                     : line);
    }
    return all;
  };
  const auto out = lines(program.output());
  const auto err = lines(program.errors());
  for (int i = 0; i < 20; ++i) {
    const std::string n = std::to_string(i);
    CHECK(out.contains("] task " + n));
    CHECK(out.contains("] line two of " + n));
    CHECK(err.contains("] error of " + n));
    CHECK(out.contains("plain " + n));
  }
}

TEST_CASE("workers are the same from loop to loop, as many as are asked for, and leave when idle") {
  const WorkerOptions options{.env = {{"SOAK_TEST", "resize"}}};
  const auto pids = [](int n_jobs, WorkerOptions with) {
    const support::TempDir dir;
    const auto all = Parallel(
                         // Set, because its default depends on n_jobs, and the workers on it.
                         {.n_jobs = n_jobs,
                          .backend = "spawn",
                          .batch_size = 1,
                          .inner_max_num_threads = 1,
                          .workers = std::move(with)})
                         .map(std::views::iota(0, 2 * n_jobs), Meet{dir.path().string(), n_jobs});
    return std::set(all.begin(), all.end());
  };
  const auto two = pids(2, options);
  CHECK(pids(2, options) == two);
  // A larger loop uses the existing workers and new ones.
  const auto four = pids(4, options);
  CHECK(four.size() == 4);
  CHECK(std::includes(four.begin(), four.end(), two.begin(), two.end()));
  // A smaller loop uses the most recently used workers.
  const auto one = pids(1, options);
  CHECK(one.size() == 1);
  CHECK(four.contains(*one.begin()));
  CHECK(pids(1, options) == one);
  CHECK(!support::is_gone(*one.begin()));
  WorkerOptions brief = options;
  brief.idle_timeout = 50ms;
  for (const int pid : pids(2, brief)) {
    CHECK(support::within(20s, [&] { return support::is_gone(pid); }));
  }
  CHECK(pids(2, brief).size() == 2);
}

namespace {
struct Farewell {
  std::string path;
  explicit Farewell(std::string to) : path(std::move(to)) {}
  Farewell(Farewell&& other) noexcept : path(std::exchange(other.path, {})) {}
  ~Farewell() {
    if (!path.empty()) support::note_pids(path, {static_cast<int>(::getpid())});
  }
};
Farewell make_farewell(const std::string& path) { return Farewell(path); }
}  // namespace

// The case below runs this one in a process of its own.
TEST_CASE("program that ends with idle workers" * doctest::skip()) {
  const std::string directory = std::getenv("TEST_DIRECTORY");
  const Parallel parallel({.n_jobs = 1,
                           .backend = "spawn",
                           .workers = {.initializer = {make_farewell, directory + "/farewell"}}});
  support::note_pids(directory + "/worker", parallel.map(std::vector{1}, [](int) {
    return static_cast<int>(worker_state<Farewell>().path.empty() ? 0 : ::getpid());
  }));
  std::exit(0);  // NOLINT: workers leave at exit
}

TEST_CASE("a worker's state is destroyed when it leaves, and all are gone when main has ended") {
  const support::TempDir dir;
  support::ChildProgram program("program that ends with idle workers",
                                {"TEST_DIRECTORY=" + dir.path().string()});
  REQUIRE(program.ends_within(60s));
  CHECK(program.exit_code() == 0);
  const auto worker = support::noted_pids(dir / "worker");
  REQUIRE(worker.size() == 1);
  // The workers are gone at the program's end, not some time later.
  CHECK(support::is_gone(worker[0]));
  CHECK(support::noted_pids(dir / "farewell") == worker);
}
