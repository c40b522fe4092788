// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>
#include <hoist/error.hpp>
#include <hoist/parallel.hpp>
#include <hoist/share.hpp>

#include <atomic>
#include <memory>
#include <string>
#include <thread>

#include "conformance/support.hpp"
#include "support/child_program.hpp"
#include "support/temp_dir.hpp"

using namespace hoist;
using namespace std::chrono_literals;
using conformance::backends;

namespace {

/// Appends to a file when it runs.
struct Marks {
  std::string path;
  int operator()(int i) const {
    std::ofstream(path, std::ios::app) << 'x';
    return i;
  }
};
std::size_t marks(const std::filesystem::path& path) {
  return std::filesystem::exists(path) ? std::filesystem::file_size(path) : 0;
}

int fail_at_fifty(int i) {
  if (i == 50) throw std::out_of_range("fifty");
  return i;
}

auto endless_calls() {
  return std::views::iota(0) |
         std::views::transform([](int i) { return delayed(fail_at_fifty)(i); });
}

/// Counts its instances: arguments and results must not be kept.
struct Counted {
  static inline std::atomic<int> alive{0};
  int value = 0;
  Counted() { ++alive; }
  explicit Counted(int v) : value(v) { ++alive; }
  Counted(const Counted& other) : value(other.value) { ++alive; }
  Counted(Counted&& other) noexcept : value(other.value) { ++alive; }
  Counted& operator=(const Counted&) = default;
  ~Counted() { --alive; }
  template <class Ar>
  void serialize(Ar& ar) {
    ar(value);
  }
};
Counted pass_on(const Counted& counted) { return Counted(counted.value + 1); }

}  // namespace

TEST_CASE("an endless input is read as it is needed, and ends with a failure or its consumer") {
  for (const auto& backend : backends()) {
    CAPTURE(backend);
    const Parallel parallel({.n_jobs = 2, .backend = backend});
    CHECK_THROWS_AS(parallel(endless_calls()), std::out_of_range);
    int yielded = 0;
    CHECK_THROWS_AS(
        [&] {
          for (const int value : parallel.generator(endless_calls())) {
            yielded += value >= 0 ? 1 : 0;
          }
        }(),
        std::out_of_range);
    CHECK(yielded <= 50);
    std::size_t seen = 0;
    for (auto& [index, value] : parallel.generator_unordered(endless_calls())) {
      CHECK(index == static_cast<std::size_t>(value));
      if (++seen == 10) break;
    }
    CHECK(seen == 10);
  }
}

TEST_CASE("a generator does its part before anybody asks for a result, and no more") {
  const support::TempDir dir;
  for (const auto& backend : backends()) {
    CAPTURE(backend);
    // Backends that run tasks only in the caller wait for it.
    if (conformance::is_sequential(backend)) continue;
    const auto path = dir / backend;
    {
      auto calls = std::views::iota(0) |
                   std::views::transform([&](int i) { return delayed(Marks{path.string()})(i); });
      auto generator =
          Parallel({.n_jobs = 2, .backend = backend, .pre_dispatch = 6}).generator(calls);
      if (backend == "threads") {
        CHECK(support::within(20s, [&] { return marks(path) == 6; }));
      }
      std::this_thread::sleep_for(20ms);
      CHECK(marks(path) <= 6);
      auto at = generator.begin();
      for (int i = 0; i < 20; ++i, ++at) CHECK(*at == i);
      std::this_thread::sleep_for(20ms);
      CHECK(marks(path) <= 27);
    }
    const auto ran = marks(path);
    std::this_thread::sleep_for(20ms);
    CHECK(marks(path) == ran);
  }
}

TEST_CASE("arguments and results are kept no longer than they are needed") {
  for (const auto& backend : backends()) {
    CAPTURE(backend);
    const int before = Counted::alive;
    {
      auto calls = std::views::iota(0, 500) |
                   std::views::transform([](int i) { return delayed(pass_on)(Counted(i)); });
      int most = 0;
      int expected = 1;
      for (auto& result :
           Parallel({.n_jobs = 2, .backend = backend, .pre_dispatch = 4}).generator(calls)) {
        CHECK(result.value == expected++);
        most = std::max(most, Counted::alive - before);
      }
      CHECK(expected == 501);
      CHECK(most < 30);
    }
    CHECK(Counted::alive == before);
    CHECK(
        Parallel({.n_jobs = 2, .backend = backend}).map(std::vector<Counted>(20), pass_on).size() ==
        20);
    CHECK(Counted::alive == before);
  }
}

TEST_CASE("what can't travel is named, and nothing has run by then") {
  const support::TempDir dir;
  const auto path = dir / "ran";
  const Parallel parallel({.n_jobs = 2, .backend = "spawn"});
  struct Opaque {
    explicit Opaque(int) {}
    std::unique_ptr<std::thread> thread;
    Opaque(const Opaque&) {}
    int id = 0;
  };
  const auto takes = [](const std::string& to, const Opaque&) { return Marks{to}(1); };
  CHECK_THROWS_WITH_AS(parallel(delayed(takes)(path.string(), Opaque(1))),
                       doctest::Contains("argument 2"), CannotTravel);
  CHECK_THROWS_WITH_AS(parallel(delayed(takes)(path.string(), Opaque(1))),
                       doctest::Contains("Opaque"), CannotTravel);
  int local = 3;
  CHECK_THROWS_AS(parallel.map(std::vector{1, 2},
                               [&local, to = path.c_str()](int i) { return Marks{to}(i) + local; }),
                  CannotTravel);
  const std::string captured = path.string();
  CHECK_THROWS_WITH_AS(
      parallel.map(std::vector{1, 2}, [captured](int i) { return Marks{captured}(i); }),
      doctest::Contains("callable"), CannotTravel);
  CHECK(marks(path) == 0);
}

TEST_CASE("a loop may be used from tasks and from several threads with one object") {
  for (const auto& backend : backends()) {
    if (backend == "fork") continue;  // refuses beside other threads
    CAPTURE(backend);
    const Parallel parallel({.n_jobs = 2, .backend = backend});
    std::atomic<int> good{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 8; ++t) {
      threads.emplace_back([&, t] {
        for (int round = 0; round < 5; ++round) {
          const auto values = parallel.map(std::views::iota(0, 50), [t](int i) { return i + t; });
          if (values[49] == 49 + t) ++good;
        }
      });
    }
    for (auto& thread : threads) thread.join();
    CHECK(good == 40);
  }
}

TEST_CASE("shared values are freed with their last copy") {
  const auto descriptors = [] { return support::count_entries("/proc/self/fd"); };
  const auto sum = [](const Shared<std::vector<double>>& values, int i) {
    return (*values)[static_cast<std::size_t>(i)];
  };
  const Parallel parallel({.n_jobs = 2, .backend = "spawn"});
  // The shared memory that a worker has mapped.
  const auto shared_kib = [](int) {
    std::ifstream in("/proc/self/status");
    for (std::string word; in >> word;) {
      long kib = 0;
      if (word == "RssShmem:" && in >> kib) return kib;
    }
    return 0L;
  };
  parallel.map(std::views::iota(0, 2), shared_kib);
  const auto before = descriptors();
  const long there_before = parallel.map(std::views::iota(0, 1), shared_kib)[0];
  for (int round = 0; round < 5; ++round) {
    const auto values = share(std::vector<double>(1 << 20, round));
    auto calls = std::views::iota(0, 10) |
                 std::views::transform([&](int i) { return delayed(sum)(values, i); });
    CHECK(parallel(calls) == std::vector<double>(10, round));
  }
  CHECK(descriptors() <= before);
  for (const long kib : parallel.map(std::views::iota(0, 8), shared_kib)) {
    CHECK(kib < there_before + 9000);
  }
}
