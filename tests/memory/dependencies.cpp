// SPDX-License-Identifier: BSD-3-Clause
//
// A function that called a cached one through a variable stayed as it was when that one was edited.
#include <doctest/doctest.h>
#include <hoist/memory.hpp>
#include <hoist/parallel.hpp>

#include <atomic>
#include <functional>
#include <numeric>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "support/count_runs.hpp"
#include "support/noinline.hpp"
#include "support/sanitized.hpp"
#include "support/temp_dir.hpp"

using hoist::Memory;
using hoist::Parallel;
using support::TempDir;

namespace dependencies_test {

HOIST_TEST_NOINLINE int twice(int x) { return 2 * x; }
HOIST_TEST_NOINLINE int thrice(int x) { return 3 * x; }
HOIST_TEST_NOINLINE int failing(int x) { throw std::out_of_range(std::to_string(x)); }

int offset = 0;
HOIST_TEST_NOINLINE int shifted(int x) { return x + offset; }

std::function<int(int)> inner;
std::function<int(int)> middle;
std::atomic<int> runs = 0;

HOIST_TEST_NOINLINE int outer(int x) {
  ++runs;
  return inner(x) + 1;
}
HOIST_TEST_NOINLINE int through_middle(int x) { return middle(x) + 10; }
HOIST_TEST_NOINLINE int catching(int x) {
  ++runs;
  try {
    return inner(x);
  } catch (const std::out_of_range&) {
    return -1;
  }
}
HOIST_TEST_NOINLINE int in_a_thread(int x) {
  int result = 0;
  std::thread([&] { result = inner(x); }).join();
  return result;
}
int call_inner(int x) { return inner(x); }
HOIST_TEST_NOINLINE int in_a_loop(const std::string& backend) {
  const std::vector<int> numbers{1, 2, 3, 4, 5};
  const auto all = Parallel({.n_jobs = 2, .backend = backend}).map(numbers, call_inner);
  return std::accumulate(all.begin(), all.end(), 0);
}
using Cached = decltype(Memory().cache(twice));
int call(const Cached& cached, int x) { return cached(x); }
std::function<Cached()> make;
HOIST_TEST_NOINLINE int in_spawned_tasks(int n) {
  std::vector<hoist::Delayed<int (*)(const Cached&, int), Cached, int>> calls;
  for (int x = 1; x <= n; ++x) calls.push_back(hoist::delayed(call)(make(), x));
  const auto all = Parallel({.n_jobs = 2, .backend = "spawn"})(calls);
  return std::accumulate(all.begin(), all.end(), 0);
}

/// In place of an edit: another function that is cached under the same name.
Cached edition(const Memory& memory, int (*f)(int)) { return memory.cache(f, {.name = "inner"}); }

int runs_of(const auto& work) { return support::growth(runs, work); }

/// A memory of the test's own; nobody holds the functions any more when it ends.
struct Fresh {
  Fresh() = default;
  Fresh(const Fresh&) = delete;
  Fresh& operator=(const Fresh&) = delete;
  ~Fresh() {
    inner = middle = nullptr;
    make = nullptr;
  }
  TempDir dir;
  Memory memory{dir.path()};
};

}  // namespace dependencies_test

using namespace dependencies_test;

TEST_CASE("an edit of a cached function that was called through a variable is noticed") {
  const TempDir dir;
  for (const hoist::MemoryOptions& options :
       {hoist::MemoryOptions{}, hoist::MemoryOptions{.hot_bytes = "1M"}}) {
    const Memory memory(dir / std::to_string(options.hot_bytes.bytes()), options);
    const auto cached = memory.cache(outer);
    inner = edition(memory, twice);
    CHECK(cached(10) == 21);
    CHECK(runs_of([&] { CHECK(cached(10) == 21); }) == 0);
    CHECK(cached.check_call_in_cache(10));
    inner = edition(memory, thrice);
    CHECK_FALSE(cached.check_call_in_cache(10));
    CHECK(cached.explain_miss(10).find("inner-") != std::string::npos);
    CHECK(runs_of([&] { CHECK(cached(10) == 31); }) == 1);
    CHECK(runs_of([&] { CHECK(cached(10) == 31); }) == 0);
    inner = nullptr;
  }
}

TEST_CASE("a new version is noticed, at every distance, in memories of their own") {
  const TempDir dir;
  const Memory memory(dir / "outer");
  const auto version = [&](const char* text, int (*f)(int)) {
    return Memory(dir / "inner").cache(f, {.name = "inner", .version = text});
  };
  inner = version("1", twice);
  middle = Memory().cache(outer);
  const auto cached = memory.cache(through_middle);
  CHECK(cached(1) == 13);
  CHECK(runs_of([&] { CHECK(cached(1) == 13); }) == 0);
  inner = version("2", thrice);
  CHECK(cached(1) == 14);
  CHECK(runs_of([&] { CHECK(cached(1) == 14); }) == 0);
  inner = middle = nullptr;
}

TEST_CASE_FIXTURE(Fresh, "results that came from the cache count like computed ones") {
  inner = edition(memory, twice);
  const auto middle_cached = memory.cache(outer);
  CHECK(middle_cached(5) == 11);  // stored before it is called by the other
  middle = middle_cached;
  const auto cached = memory.cache(through_middle);
  CHECK(cached(5) == 21);
  inner = edition(memory, thrice);
  CHECK(cached(5) == 26);
}

TEST_CASE_FIXTURE(Fresh, "what a called function reads of variables counts" *
                             doctest::skip(support::sanitized)) {
  offset = 1;
  inner = edition(memory, shifted);
  const auto cached = memory.cache(outer);
  CHECK(cached(1) == 3);
  offset = 2;
  CHECK(cached(1) == 4);
  CHECK(runs_of([&] { CHECK(cached(1) == 4); }) == 0);
}

TEST_CASE_FIXTURE(Fresh, "a call that failed counts") {
  inner = edition(memory, failing);
  const auto cached = memory.cache(catching);
  CHECK(cached(7) == -1);
  CHECK(runs_of([&] { CHECK(cached(7) == -1); }) == 0);
  inner = edition(memory, twice);
  CHECK(cached(7) == 14);
}

TEST_CASE_FIXTURE(Fresh, "calls in threads and in the tasks of loops count") {
  inner = edition(memory, twice);
  const auto threaded = memory.cache(in_a_thread);
  const auto looped = memory.cache(in_a_loop);
  CHECK(threaded(3) == 6);
  for (const char* backend : {"sequential", "threads", "fork"}) CHECK(looped(backend) == 30);
  inner = edition(memory, thrice);
  CHECK(threaded(3) == 9);
  for (const char* backend : {"sequential", "threads", "fork"}) {
    CAPTURE(backend);
    CHECK(looped(backend) == 45);
    inner = nullptr;
    CHECK(looped(backend) == 45);
    inner = edition(memory, thrice);
  }
}

TEST_CASE_FIXTURE(Fresh, "calls in spawned workers count") {
  make = [&] { return edition(memory, twice); };
  const auto cached = memory.cache(in_spawned_tasks);
  CHECK(cached(4) == 20);
  // Nobody else holds the function now: it is known by its symbol.
  make = nullptr;
  CHECK(cached(4) == 20);
  auto changed = edition(memory, thrice);
  make = [&] { return changed; };
  CHECK(cached(4) == 30);
}

TEST_CASE_FIXTURE(Fresh, "only calls of the computation itself count") {
  inner = edition(memory, twice);
  const auto cached = memory.cache(outer);
  const auto other = memory.cache(shifted);
  CHECK(other(1) == 1 + offset);
  // A thread whose first cached call comes later might belong to the computation.
  std::atomic<bool> called = false;
  std::atomic<bool> done = false;
  std::thread beside([&] {
    do {
      other(2);
      called = true;
    } while (!done);
  });
  while (!called) std::this_thread::yield();
  const auto metadata = cached.call(4).metadata;
  done = true;
  beside.join();
  REQUIRE(metadata.dependencies.size() == 1);
  CHECK(metadata.dependencies[0].function.starts_with("inner-"));
  CHECK(metadata.dependencies[0].symbol.find("twice") != std::string::npos);
}
