// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>
#include <hoist/error.hpp>
#include <hoist/parallel.hpp>

#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <set>
#include <string>
#include <thread>

#include "conformance/support.hpp"
#include "support/task_end.hpp"
#include "support/temp_dir.hpp"

using namespace hoist;
using namespace std::chrono_literals;

using support::End;
using support::meet;

namespace {

/// Ends its process while it is encoded or decoded.
struct Fragile {
  int value = 0;
  int end = -1;
  bool when_decoded = false;
  template <class Ar>
  void serialize(Ar& ar) {
    ar(value, end, when_decoded);
    if (end >= 0 && Ar::decoding == when_decoded) meet(static_cast<End>(end));
  }
};

Fragile make_fragile(int i, End end) { return {i, i == 5 ? static_cast<int>(end) : -1, false}; }
int run_fragile(int i, End end) {
  if (i == 5) meet(end);
  return i;
}

std::vector<std::string> process_backends() {
  std::vector<std::string> names;
  for (const auto& name : conformance::backends()) {
    if (!conformance::shares_memory(name)) names.push_back(name);
  }
  return names;
}

void check_death(const std::exception_ptr& error, End end) {
  switch (end) {
    case End::throws: CHECK_THROWS_AS(std::rethrow_exception(error), std::domain_error); return;
    case End::is_out_of_memory:
      CHECK_THROWS_AS(std::rethrow_exception(error), std::bad_alloc);
      return;
    default: break;
  }
  try {
    std::rethrow_exception(error);
  } catch (const WorkerDied& died) {
    CAPTURE(died.what());
    CHECK(std::string(died.what()).find("task 5") != std::string::npos);
    CHECK(std::string(died.what()).find(std::to_string(died.pid())) != std::string::npos);
    switch (end) {
      case End::exits:
        CHECK(died.exit_code() == 42);
        CHECK(died.signal() == 0);
        break;
      case End::exits_hard:
        CHECK(died.exit_code() == 43);
        CHECK(died.signal() == 0);
        break;
      case End::aborts: CHECK(died.signal() == SIGABRT); break;
      case End::segfaults: CHECK(died.signal() == SIGSEGV); break;
      default: CHECK(died.signal() == SIGKILL); break;
    }
  } catch (...) {
    FAIL("another error");
  }
}

constexpr End ends[] = {End::throws,    End::exits,     End::exits_hard,      End::aborts,
                        End::segfaults, End::is_killed, End::is_out_of_memory};

}  // namespace

TEST_CASE("a task that ends its worker loses only itself") {
  for (const auto& backend : process_backends()) {
    for (const End end : ends) {
      CAPTURE(backend);
      CAPTURE(static_cast<int>(end));
      const Parallel parallel({.n_jobs = 2, .backend = backend});
      const auto ran = parallel.map_outcomes(std::views::iota(0, 40),
                                             [end](int i) { return run_fragile(i, end); });
      const auto encoded = parallel.map_outcomes(std::views::iota(0, 40),
                                                 [end](int i) { return make_fragile(i, end); });
      for (std::size_t i = 0; i < 40; ++i) {
        CHECK(ran[i].has_value() == (i != 5));
        CHECK(encoded[i].has_value() == (i != 5));
      }
      check_death(ran[5].error(), end);
      check_death(encoded[5].error(), end);
      CHECK(parallel.map(std::views::iota(0, 10), [](int i) { return i; })[9] == 9);
    }
  }
}

TEST_CASE("a result that can't be decoded fails its task alone") {
  for (const auto& backend : process_backends()) {
    CAPTURE(backend);
    const auto outcomes =
        Parallel({.n_jobs = 2, .backend = backend})
            .map_outcomes(std::views::iota(0, 20), [](int i) {
              return Fragile{i, i == 5 ? static_cast<int>(End::throws) : -1, true};
            });
    for (std::size_t i = 0; i < 20; ++i) CHECK(outcomes[i].has_value() == (i != 5));
    check_death(outcomes[5].error(), End::throws);
  }
}

TEST_CASE("the error quotes the worker's last words") {
  for (const auto& backend : process_backends()) {
    CAPTURE(backend);
    CHECK_THROWS_WITH_AS(
        Parallel({.n_jobs = 2, .backend = backend})
            .map(std::views::iota(0, 10), [](int i) { return run_fragile(i, End::exits); }),
        doctest::Contains("last words of a test"), WorkerDied);
  }
}

TEST_CASE("results whose type can't travel are refused before anything runs") {
  struct Opaque {
    std::unique_ptr<std::thread> thread;
  };
  for (const auto& backend : process_backends()) {
    CAPTURE(backend);
    CHECK_THROWS_AS(Parallel({.n_jobs = 2, .backend = backend})
                        .map(std::views::iota(0, 3), [](int) { return Opaque{}; }),
                    CannotTravel);
  }
}

namespace {
/// Ends its process the first time.
struct EndsOnce {
  std::string directory;
  int operator()(int i) const {
    const std::string mark = directory + "/" + std::to_string(i);
    if (i % 7 == 3 && !std::filesystem::exists(mark)) {
      std::ofstream(mark) << 'x';
      std::raise(SIGKILL);
    }
    return i;
  }
};
}  // namespace

TEST_CASE("a task that ended its worker is run again where retries allow it") {
  for (const auto& backend : process_backends()) {
    CAPTURE(backend);
    const support::TempDir dir;
    const auto outcomes = Parallel({.n_jobs = 2, .backend = backend, .retries = 1})
                              .map_outcomes(std::views::iota(0, 30), EndsOnce{dir.path().string()});
    for (std::size_t i = 0; i < 30; ++i) {
      CHECK(outcomes[i].value() == static_cast<int>(i));
      CHECK(outcomes[i].attempts() == (i % 7 == 3 ? 2 : 1));
    }
  }
}

namespace {
/// Records each task that it runs, and ends its process at one of them.
struct NotesItself {
  std::string file;
  int operator()(int i) const {
    std::ofstream(file, std::ios::app) << i << '\n';
    if (i == 60) std::raise(SIGKILL);
    return i;
  }
};
}  // namespace

// Many results of short tasks are sent at a time: those before the crash must neither be lost nor
// be computed again.
TEST_CASE("what a worker had done before its end is neither lost nor done twice") {
  for (const auto& backend : process_backends()) {
    CAPTURE(backend);
    const support::TempDir dir;
    const std::string file = (dir / "ran").string();
    try {
      Parallel({.n_jobs = 2, .backend = backend, .batch_size = 50, .on_error = OnError::finish})
          .map(std::views::iota(0, 200), NotesItself{file});
      FAIL("no error");
    } catch (const LoopErrors& errors) {
      REQUIRE(errors.failures().size() == 1);
      CHECK(errors.failures().front().index == 60);
      const auto& results = errors.results<int>();
      for (std::size_t i = 0; i < 200; ++i) {
        CHECK(results[i].has_value() == (i != 60));
        if (i != 60) CHECK(results[i].value() == static_cast<int>(i));
      }
    }
    std::multiset<int> ran;
    std::ifstream in(file);
    for (int i = 0; in >> i;) ran.insert(i);
    CHECK(ran.size() == 200);
    CHECK(std::set<int>(ran.begin(), ran.end()).size() == 200);
  }
}
