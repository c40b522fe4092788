// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>
#include <hoist/array.hpp>
#include <hoist/error.hpp>
#include <hoist/parallel.hpp>

#include <deque>
#include <list>
#include <memory>
#include <numeric>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>

#include "conformance/support.hpp"

using namespace hoist;
using conformance::backends;

namespace {

double half(int i) { return i / 2.0; }
std::string text(int i) { return std::string(30, 'a') + std::to_string(i); }

}  // namespace

TEST_CASE("results are written where they are wanted") {
  std::list<int> list(500);
  std::iota(list.begin(), list.end(), 0);
  std::vector<double> expected;
  std::vector<std::string> texts;
  for (const int i : list) {
    expected.push_back(half(i));
    texts.push_back(text(i));
  }
  for (const auto& backend : backends()) {
    for (const int n_jobs : {1, 3}) {
      CAPTURE(backend);
      CAPTURE(n_jobs);
      const Parallel parallel({.n_jobs = n_jobs, .backend = backend});
      std::vector<double> out(500);
      parallel.map_into(std::views::iota(0, 500), half, out);
      CHECK(out == expected);
      out.assign(500, 0);
      parallel.map_into(list, half, std::span(out));
      CHECK(out == expected);
      out.assign(500, 0);
      parallel.map_into(std::views::iota(0, 500) | std::views::filter([](int) { return true; }),
                        half, out.begin());
      CHECK(out == expected);
      out.assign(500, 0);
      parallel.map_into(list, half, out.data());
      CHECK(out == expected);
      Array<float> array({500});
      parallel.map_into(list, half, array);
      CHECK(std::equal(array.begin(), array.end(), expected.begin()));
      Array<std::int64_t> whole({20, 25});
      parallel.map_into(std::views::iota(0, 500), half, whole);
      CHECK(whole(19, 24) == 249);
      std::deque<std::string> strings(500);
      parallel.map_into(list, text, strings);
      CHECK(std::equal(strings.begin(), strings.end(), texts.begin(), texts.end()));
      std::vector<std::optional<std::string>> maybe(500);
      parallel.map_into(std::views::iota(0, 500), text, maybe);
      CHECK(maybe[499] == texts[499]);
    }
  }
}

TEST_CASE("there must be as many places as elements") {
  for (const auto& backend : backends()) {
    CAPTURE(backend);
    const Parallel parallel({.n_jobs = 2, .backend = backend});
    auto unsized = std::views::iota(0, 50) | std::views::filter([](int) { return true; });
    for (const std::size_t size : {0U, 49U, 51U}) {
      std::vector<double> out(size);
      CHECK_THROWS_WITH_AS(parallel.map_into(std::views::iota(0, 50), half, out),
                           doctest::Contains("50 elements"), BadArgument);
      CHECK_THROWS_AS(parallel.map_into(unsized, half, out), BadArgument);
    }
  }
}

TEST_CASE("an element whose task failed stays, and those that are tried again are written") {
  for (const auto& backend : backends()) {
    CAPTURE(backend);
    std::vector<int> out(100, -1);
    CHECK_THROWS_AS(Parallel({.n_jobs = 2, .backend = backend, .on_error = OnError::finish})
                        .map_into(
                            std::views::iota(0, 100),
                            [](int i) {
                              if (i % 10 == 0) throw std::runtime_error("no");
                              return i;
                            },
                            out),
                    LoopErrors);
    for (int i = 0; i < 100; ++i) CHECK(out[static_cast<std::size_t>(i)] == (i % 10 == 0 ? -1 : i));
    std::list<int> list(100, 5);
    Parallel({.n_jobs = 2, .backend = backend, .retries = 1})
        .map_into(
            list,
            [](int i) {
              const TaskInfo task = this_task();
              if (task.index % 10 == 0 && task.attempt == 1) throw std::runtime_error("no");
              return i;
            },
            out);
    CHECK(out == std::vector(100, 5));
  }
}

TEST_CASE("results that can only be moved have places on threads") {
  std::vector<std::unique_ptr<int>> out(50);
  Parallel({.n_jobs = 2, .backend = "threads"})
      .map_into(std::views::iota(0, 50), [](int i) { return std::make_unique<int>(i); }, out);
  CHECK(*out[49] == 49);
}
