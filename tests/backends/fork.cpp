// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>
#include <hoist/error.hpp>
#include <hoist/parallel.hpp>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <iterator>
#include <memory>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "support/sanitized.hpp"
#include "support/temp_dir.hpp"

using namespace hoist;
using namespace std::chrono_literals;

namespace {
std::size_t open_files() {
  return static_cast<std::size_t>(
      std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {}));
}
}  // namespace

TEST_CASE("children inherit any callable and any capture") {
  std::unique_ptr<int> owned = std::make_unique<int>(40);
  std::vector<std::function<int()>> calls{[&] { return *owned + 1; }, [&] { return *owned + 2; }};
  const auto values =
      Parallel({.n_jobs = 2, .backend = "fork"}).map(calls, [&](auto& f) { return f(); });
  CHECK(values == std::vector{41, 42});
  int changed = 0;
  Parallel({.n_jobs = 2, .backend = "fork"}).for_each(std::views::iota(0, 4), [&](int i) {
    changed += i;
  });
  CHECK(changed == 0);
}

TEST_CASE("tasks run in other processes, at most n_jobs of them") {
  const auto pids =
      Parallel({.n_jobs = 3, .backend = "fork"}).map(std::views::iota(0, 30), [](int) {
        std::this_thread::sleep_for(1ms);
        return ::getpid();
      });
  const std::set<int> distinct(pids.begin(), pids.end());
  CHECK(!distinct.contains(::getpid()));
  CHECK(distinct.size() <= 3);
}

TEST_CASE("fork is refused beside other threads, unless forced") {
  std::atomic<bool> end{false};
  std::thread other([&] { end.wait(false); });
  const auto loop = [](bool force) {
    return Parallel({.n_jobs = 2, .backend = "fork", .force_fork = force})
        .map(std::views::iota(0, 4), [](int i) { return i; });
  };
  CHECK_THROWS_WITH_AS(loop(false), doctest::Contains("threads"), BadArgument);
  CHECK(loop(true).size() == 4);
  end = true;
  end.notify_all();
  other.join();
  CHECK_THROWS_AS(Parallel({.n_jobs = 2, .backend = "threads"})
                      .map(std::views::iota(0, 4), [&](int) { return loop(false).size(); }),
                  BadArgument);
  // hoist's own threads do not prevent forking.
  CHECK(loop(false).size() == 4);
}

TEST_CASE("loops nest in children") {
  const auto sums =
      Parallel({.n_jobs = 2, .backend = "fork"}).map(std::views::iota(0, 4), [](int i) {
        const auto inner = Parallel({.n_jobs = 2, .backend = i % 2 == 0 ? "threads" : "fork"})
                               .map(std::views::iota(0, 10), [i](int j) { return i * j; });
        return std::accumulate(inner.begin(), inner.end(), 0);
      });
  CHECK(sums == std::vector{0, 45, 90, 135});
}

TEST_CASE("an idle child gets what another has not begun") {
  // The first tasks suggest that all are short.
  const auto begin = std::chrono::steady_clock::now();
  Parallel({.n_jobs = 2, .backend = "fork"}).for_each(std::views::iota(0, 1200), [](int i) {
    if (i >= 1000) std::this_thread::sleep_for(2ms);
  });
  CHECK(std::chrono::steady_clock::now() - begin < 5s);
}

TEST_CASE("a generator of short tasks forks a few children, not one for every task or two") {
  constexpr int tasks = 20000;
  auto calls = std::views::iota(0, tasks) | std::views::transform([](int i) {
                 return delayed([](int) { return ::getpid(); })(i);
               });
  const Parallel parallel({.n_jobs = 2, .backend = "fork"});
  std::set<int> children;
  for (const int pid : parallel.generator(calls)) children.insert(pid);
  CHECK(children.size() < 400);
  children.clear();
  for (const auto& [index, pid] : parallel.generator_unordered(calls)) children.insert(pid);
  CHECK(children.size() < 400);
}

TEST_CASE("file descriptors and processes don't grow") {
  const auto run = [] {
    Parallel({.n_jobs = 2, .backend = "fork"}).for_each(std::views::iota(0, 3), [](int) {});
  };
  run();
  const std::size_t before = open_files();
  for (int i = 0; i < 50; ++i) run();
  CHECK(open_files() == before);
  CHECK(::waitpid(-1, nullptr, WNOHANG) == -1);
}

TEST_CASE("large results are born in shared memory and adopted") {
  const std::size_t before = open_files();
  {
    // More results than a socket holds descriptors.
    const auto results =
        Parallel({.n_jobs = 2, .backend = "fork"}).map(std::views::iota(0, 400), [](int i) {
          auto array = Array<double>::uninitialized({std::size_t{1} << 17});
          array[0] = i;
          array[array.size() - 1] = -i;
          return std::pair(array, std::vector<float>(1 << 18, static_cast<float>(i)));
        });
    for (int i = 0; i < 400; ++i) {
      const auto& [array, numbers] = results[static_cast<std::size_t>(i)];
      CHECK(array[0] == i);
      CHECK(array[array.size() - 1] == -i);
      CHECK(array.storage()->backing().fd >= 0);
      CHECK(numbers.back() == static_cast<float>(i));
    }
    results[7].first[1] = 5;
    CHECK(results[7].first[1] == 5);
  }
  CHECK(open_files() == before);
  const auto small = Parallel({.n_jobs = 2, .backend = "fork", .max_nbytes = "64M"})
                         .map(std::views::iota(0, 4), [](int i) {
                           auto array = Array<double>::uninitialized({std::size_t{1} << 18});
                           std::fill(array.data(), array.data() + array.size(), i);
                           return array;
                         });
  for (int i = 0; i < 4; ++i) CHECK(small[static_cast<std::size_t>(i)][99] == i);
}

TEST_CASE("large results of a child that dies afterwards are there") {
  try {
    Parallel({.n_jobs = 2, .backend = "fork", .batch_size = 10, .on_error = OnError::finish})
        .map(std::views::iota(0, 20), [](int i) {
          if (i == 5) std::raise(SIGKILL);
          auto array = Array<double>::uninitialized({std::size_t{1} << 18});
          array[3] = i;
          return array;
        });
    FAIL("no error");
  } catch (const LoopErrors& errors) {
    CHECK(errors.failures().size() == 1);
    const auto& results = errors.results<Array<double>>();
    for (std::size_t i = 0; i < 20; ++i) {
      REQUIRE(results[i].has_value() == (i != 5));
      if (i != 5) CHECK((*results[i])[3] == static_cast<double>(i));
    }
  }
}

// The exception left the loop in the child, which ran the rest of the program, too.
TEST_CASE("a child that can't tell of an error dies of it, and doesn't go on as the program") {
  if (support::sanitized) return;  // which need descriptors themselves
  const int parent = ::getpid();
  const auto fail = [](int) -> int {
    const rlimit few{20, 20};
    ::setrlimit(RLIMIT_NOFILE, &few);
    while (::open("/dev/null", O_RDONLY | O_CLOEXEC) >= 0) {
    }
    throw std::runtime_error(std::string(200'000, 'x'));  // travels in a memory file
  };
  std::string error;
  try {
    static_cast<void>(Parallel({.n_jobs = 1, .backend = "fork"}).map(std::vector{1}, fail));
  } catch (const Error& e) {
    error = e.what();
  }
  if (::getpid() != parent) ::_exit(0);
  CHECK(error.find("exited with code 125 while it ran task 0") != std::string::npos);
  CHECK(error.find("Too many open files") != std::string::npos);
}
