// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>
#include <hoist/error.hpp>
#include <hoist/parallel.hpp>
#include <hoist/zip.hpp>

#include <array>
#include <deque>
#include <list>
#include <map>
#include <memory>
#include <string>

#include "conformance/support.hpp"

using namespace hoist;
using conformance::backends;

namespace {

std::string label(const std::string& name, int n) { return name + std::to_string(n); }

std::vector<std::string> names(int n) {
  std::vector<std::string> all;
  for (int i = 0; i < n; ++i) all.push_back("row " + std::to_string(i) + ": ");
  return all;
}

}  // namespace

TEST_CASE("starmap calls f with the elements of tuples of any kind and in any range") {
  const auto words = names(300);
  std::vector<std::string> expected;
  std::vector<int> numbers;
  std::vector<std::tuple<std::string, int>> tuples;
  std::map<std::string, int> pairs;
  for (int i = 0; i < 300; ++i) {
    numbers.push_back(i);
    tuples.emplace_back(words[static_cast<std::size_t>(i)], i);
    expected.push_back(label(words[static_cast<std::size_t>(i)], i));
  }
  for (const auto& [name, n] : tuples) pairs[name] = n;
  const std::list<int> list(numbers.begin(), numbers.end());
  const std::deque<int> deque(numbers.begin(), numbers.end());
  for (const auto& backend : backends()) {
    CAPTURE(backend);
    const Parallel parallel({.n_jobs = 3, .backend = backend});
    CHECK(parallel.starmap(tuples, label) == expected);
    CHECK(parallel.starmap(std::list(tuples.begin(), tuples.end()), label) == expected);
    CHECK(parallel.starmap(pairs, label).size() == 300);
    CHECK(parallel.starmap(zip(words, numbers), label) == expected);
    CHECK(parallel.starmap(zip(words, list), label) == expected);
    CHECK(parallel.starmap(zip(words, deque), label) == expected);
    CHECK(parallel.starmap(zip(words, std::views::iota(0)), label) == expected);
    CHECK(parallel.starmap(zip(names(300), std::views::iota(0, 400)), label) == expected);
    CHECK(parallel.starmap(std::vector(5, std::array{1, 2, 3}),
                           [](int a, int b, int c) { return a + b * c; }) == std::vector(5, 7));
    // Others take the tuples themselves.
    CHECK(parallel.map(zip(words, numbers), [](const std::tuple<std::string, int>& both) {
      return label(std::get<0>(both), std::get<1>(both));
    }) == expected);
    CHECK(parallel.reduce(zip(numbers, numbers), 0L, std::plus(), [](const auto& both) {
      return std::get<0>(both) * std::get<1>(both);
    }) == 299L * 300 * 599 / 6);
  }
}

TEST_CASE("a product has all combinations in the order of nested loops") {
  const std::vector<std::string> letters{"a", "b", "c"};
  std::vector<std::string> expected;
  for (const auto& letter : letters) {
    for (int n = 0; n < 40; ++n) {
      for (const int more : {100, 200}) expected.push_back(label(letter, n + more));
    }
  }
  const std::vector<int> hundreds{100, 200};
  const auto call = [](const std::string& letter, int n, int more) {
    return label(letter, n + more);
  };
  for (const auto& backend : backends()) {
    CAPTURE(backend);
    const Parallel parallel({.n_jobs = 2, .backend = backend});
    CHECK(parallel.starmap(product(letters, std::views::iota(0, 40), hundreds), call) == expected);
    CHECK(parallel.starmap(product(letters, std::vector<int>(), hundreds), call).empty());
  }
}

TEST_CASE("tasks on threads write through tuples of references, and processes refuse to") {
  for (const auto& backend : backends()) {
    CAPTURE(backend);
    const Parallel parallel({.n_jobs = 2, .backend = backend});
    std::vector<double> to(200, 1);
    const std::vector<int> from(200, 2);
    std::list<double> listed(200, 1);
    const auto add = [](double& a, int b) { a += b; };
    const auto run = [&] {
      parallel.starmap(zip(to, from), add);
      parallel.starmap(zip(listed, from), add);
    };
    if (conformance::shares_memory(backend)) {
      run();
      CHECK(to == std::vector<double>(200, 3));
      CHECK(listed == std::list<double>(200, 3));
    } else {
      CHECK_THROWS_AS(run(), CannotTravel);
      CHECK_THROWS_AS(parallel.starmap(zip(listed, from), add), CannotTravel);
      CHECK(to == std::vector<double>(200, 1));
    }
  }
}

TEST_CASE("retries call f with the tuple's elements as they were") {
  for (const auto& backend : backends()) {
    CAPTURE(backend);
    const Parallel parallel({.n_jobs = 2, .backend = backend, .retries = 1});
    const auto sizes = parallel.starmap(std::views::iota(0, 20) | std::views::transform([](int i) {
                                          return std::tuple(i, std::vector<int>(5, i));
                                        }),
                                        [](int i, std::vector<int> own) {
                                          own.push_back(1);
                                          if (i % 4 == 0 && this_task().attempt == 1)
                                            throw std::runtime_error("once");
                                          return own.size();
                                        });
    CHECK(sizes == std::vector<std::size_t>(20, 6));
  }
}

TEST_CASE("elements that can only be moved go to the task") {
  std::vector<std::tuple<std::unique_ptr<int>, int>> tuples;
  for (int i = 0; i < 50; ++i) tuples.emplace_back(std::make_unique<int>(i), i);
  const auto sums =
      Parallel({.n_jobs = 2}).starmap(tuples, [](std::unique_ptr<int> a, int b) { return *a - b; });
  CHECK(sums == std::vector<int>(50, 0));
}
