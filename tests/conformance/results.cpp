// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>
#include <hoist/error.hpp>
#include <hoist/parallel.hpp>

#include <list>
#include <map>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>

#include "conformance/support.hpp"

using namespace hoist;
using namespace std::chrono_literals;
using conformance::backends;

namespace {

int square(int x) { return x * x; }

struct Score {
  std::string name;
  std::vector<double> values;
  bool operator==(const Score&) const = default;
};
Score score(int i) { return {"run " + std::to_string(i), std::vector<double>(20, i)}; }

/// A function with state on the heap.
struct Prefixed {
  std::vector<std::string> prefixes;
  std::string operator()(const std::string& word) const { return prefixes.back() + word; }
};

auto squares(int n) {
  return std::views::iota(0, n) | std::views::transform([](int i) { return delayed(square)(i); });
}

}  // namespace

TEST_CASE("results are those of a serial loop, in order") {
  std::vector<int> inputs(1000);
  std::iota(inputs.begin(), inputs.end(), 0);
  std::vector<int> expected;
  for (const int x : inputs) expected.push_back(square(x));
  for (const auto& backend : backends()) {
    for (const int n_jobs : {1, 2, 5, -1}) {
      CAPTURE(backend);
      CAPTURE(n_jobs);
      const Parallel parallel({.n_jobs = n_jobs, .backend = backend});
      CHECK(parallel.map(inputs, square) == expected);
      CHECK(parallel(squares(1000)) == expected);
      const auto [a, b, c] =
          parallel(delayed(square)(4), delayed(score)(2), delayed([](int) {})(1));
      CHECK(a == 16);
      CHECK(b == score(2));
      CHECK(c == std::monostate{});
      CHECK(parallel.map(std::vector<int>{}, square).empty());
      CHECK(parallel(squares(0)).empty());
    }
  }
}

TEST_CASE("many combinations of tasks, jobs, windows and batches give exact results") {
  for (const auto& backend : backends()) {
    for (const int tasks : {1, 2, 7, 60}) {
      for (const int n_jobs : {2, 3}) {
        for (const char* window : {"1", "n_jobs", "2*n_jobs", "all"}) {
          for (const int batch : {0, 1, 7}) {
            CAPTURE(backend);
            CAPTURE(tasks);
            CAPTURE(n_jobs);
            CAPTURE(window);
            CAPTURE(batch);
            const Parallel parallel({.n_jobs = n_jobs,
                                     .backend = backend,
                                     .pre_dispatch = window,
                                     .batch_size = batch == 0 ? BatchSize(automatic) : batch});
            std::vector<int> expected;
            for (int i = 0; i < tasks; ++i) expected.push_back(i * i);
            CHECK(parallel(squares(tasks)) == expected);
            CHECK(parallel.map(std::views::iota(0, tasks), square) == expected);
          }
        }
      }
    }
  }
}

TEST_CASE("values of all sizes come back") {
  for (const auto& backend : backends()) {
    CAPTURE(backend);
    const Parallel parallel({.n_jobs = 2, .backend = backend});
    const auto scores = parallel.map(std::views::iota(0, 300), score);
    CHECK(scores[299] == score(299));
    const auto big =
        parallel.map(std::views::iota(0, 4), [](int i) { return std::vector<int>(1 << 20, i); });
    CHECK(big[3] == std::vector<int>(1 << 20, 3));
    const auto arrays = parallel.map(std::views::iota(0, 3), [](int i) {
      Array<double> a({1000, 50});
      for (std::size_t k = 0; k < a.size(); ++k) a.data()[k] = i;
      return a;
    });
    CHECK(arrays[2].size() == 50000);
    CHECK(arrays[2].data()[49999] == 2);
    CHECK(parallel.map(std::views::iota(0, 3), [](int i) { return i > 0; }) ==
          std::vector<bool>{false, true, true});
  }
}

TEST_CASE("lists, maps and single-pass inputs are read") {
  for (const auto& backend : backends()) {
    CAPTURE(backend);
    const Parallel parallel({.n_jobs = 2, .backend = backend});
    const std::list<int> list{1, 2, 3};
    CHECK(parallel.map(list, square) == std::vector{1, 4, 9});
    std::istringstream text("4 5 6");
    CHECK(parallel.map(std::ranges::istream_view<int>(text), square) == std::vector{16, 25, 36});
  }
}

TEST_CASE("a generator yields all results, in order or as they come") {
  for (const auto& backend : backends()) {
    CAPTURE(backend);
    const Parallel parallel({.n_jobs = 2, .backend = backend});
    int expected = 0;
    for (const int value : parallel.generator(squares(200))) {
      CHECK(value == expected * expected);
      ++expected;
    }
    CHECK(expected == 200);
    std::map<std::size_t, int> got;
    for (auto& [index, value] : parallel.generator_unordered(squares(200))) got[index] = value;
    CHECK(got.size() == 200);
    for (const auto& [index, value] : got) {
      CHECK(static_cast<std::size_t>(value) == index * index);
    }
  }
}

TEST_CASE("a generator of a range and a function yields what map returns, and owns temporaries") {
  std::vector<std::string> words;
  for (int i = 0; i < 200; ++i) words.push_back("word " + std::to_string(i));
  const auto length = [](const std::string& word) { return word.size(); };
  std::istringstream single_pass("3 1 4 1 5");
  for (const auto& backend : backends()) {
    CAPTURE(backend);
    const Parallel parallel({.n_jobs = 2, .backend = backend});
    const auto lengths = parallel.map(words, length);
    std::vector<std::size_t> got;
    for (const std::size_t n : parallel.generator(words, length)) got.push_back(n);
    CHECK(got == lengths);

    // Range and function are temporaries.
    auto owning =
        parallel.generator(std::vector(words), Prefixed{std::vector<std::string>(10, "of ")});
    std::size_t next = 0;
    for (const std::string& text : owning) CHECK(text == "of " + words[next++]);
    CHECK(next == 200);

    std::map<std::size_t, int> squares;
    for (auto& [index, value] : parallel.generator_unordered(std::views::iota(0, 200), square)) {
      squares[index] = value;
    }
    CHECK(squares.size() == 200);
    for (const auto& [index, value] : squares) CHECK(value == static_cast<int>(index * index));

    single_pass.clear();
    single_pass.seekg(0);
    std::vector<int> digits;
    for (const int value : parallel.generator(std::views::istream<int>(single_pass), square)) {
      digits.push_back(value);
    }
    CHECK(digits == std::vector{9, 1, 16, 1, 25});

    std::size_t ran = 0;
    for (const auto done : parallel.generator(words, [](const std::string&) {})) {
      ran += done == std::monostate{} ? 1 : 0;
    }
    CHECK(ran == 200);

    auto failing = parallel.generator(std::views::iota(0), [](int i) {
      if (i == 7) throw std::out_of_range("seven");
      return i;
    });
    CHECK_THROWS_AS(
        [&] {
          for (const int value : failing) CHECK(value < 7);
        }(),
        std::out_of_range);
  }
}

TEST_CASE("a generator reads no further ahead of its consumer than the window") {
  for (const auto& backend : backends()) {
    CAPTURE(backend);
    const Parallel parallel({.n_jobs = 2, .backend = backend, .pre_dispatch = 5});
    int read = 0;
    auto input = std::views::iota(0) | std::views::transform([&](int i) {
                   ++read;
                   return delayed(square)(i);
                 });
    int consumed = 0;
    for (const int value : parallel.generator(input)) {
      CHECK(value == consumed * consumed);
      ++consumed;
      CHECK(read <= consumed + 5);
      if (consumed == 40) break;
    }
  }
}

TEST_CASE("an input of unknown length is read by the calling thread, as far as the window allows") {
  const auto me = std::this_thread::get_id();
  for (const auto& backend : backends()) {
    CAPTURE(backend);
    bool elsewhere = false;
    auto input = std::views::iota(0, 300) | std::views::transform([&](int i) {
                   elsewhere = elsewhere || std::this_thread::get_id() != me;
                   return delayed(square)(i);
                 });
    CHECK(Parallel({.n_jobs = 3, .backend = backend, .pre_dispatch = 4})(input).size() == 300);
    CHECK(!elsewhere);
  }
}
