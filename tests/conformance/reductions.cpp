// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>
#include <hoist/array.hpp>
#include <hoist/error.hpp>
#include <hoist/parallel.hpp>
#include <hoist/this_task.hpp>

#include <cmath>
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <numeric>
#include <sstream>
#include <stdexcept>
#include <string>

#include "conformance/support.hpp"

using namespace hoist;
using namespace std::chrono_literals;
using conformance::backends;

namespace {

using Histogram = std::map<int, int>;

/// Adds a value, or another histogram.
struct Count {
  Histogram operator()(Histogram total, int value) const {
    ++total[value % 7];
    return total;
  }
  Histogram operator()(Histogram total, const Histogram& more) const {
    for (const auto& [key, count] : more) total[key] += count;
    return total;
  }
};

std::string join(std::string left, const std::string& right) { return std::move(left) + right; }

/// Numbers whose sum depends on the order in which they are added.
std::vector<double> uneven(int n) {
  std::vector<double> values;
  for (int i = 0; i < n; ++i) values.push_back(std::sin(i) * std::pow(10, i % 17));
  return values;
}

}  // namespace

TEST_CASE("a reduction gives what a serial one gives, for each kind of input") {
  for (const auto& backend : backends()) {
    for (const int n : {0, 1, 2, 511, 512, 513, 3000}) {
      CAPTURE(backend);
      CAPTURE(n);
      const Parallel parallel({.n_jobs = 3, .backend = backend});
      std::vector<int> values(static_cast<std::size_t>(n));
      std::iota(values.begin(), values.end(), 1);
      const std::list<int> list(values.begin(), values.end());
      const long sum = std::accumulate(values.begin(), values.end(), 10L);
      std::ostringstream text;
      for (const int value : values) text << value << ' ';
      std::istringstream stream(text.str());
      CHECK(parallel.reduce(values, 10L, std::plus()) == sum);
      CHECK(parallel.reduce(list, 10L, std::plus()) == sum);
      CHECK(parallel.reduce(std::views::istream<int>(stream), 10L, std::plus()) == sum);
      CHECK(parallel.reduce(std::views::iota(1, n + 1), 10L, std::plus<long>()) == sum);
      CHECK(parallel.reduce(values | std::views::transform([](int x) { return x; }), 10L,
                            std::plus()) == sum);
      CHECK(parallel.reduce(values, 0.0, std::plus(), [](int x) { return x / 2.0; }) ==
            static_cast<double>(sum - 10) / 2);
      const std::deque<short> deque(values.begin(), values.end());
      CHECK(parallel.reduce(deque, 0L, [](long a, long b) { return std::max(a, b); }) == n);
    }
  }
}

TEST_CASE("pieces are combined in the order of the input, with init at the left") {
  std::vector<std::string> words;
  std::string all = ">";
  for (int i = 0; i < 2000; ++i) {
    words.push_back(std::to_string(i) + ' ');
    all += words.back();
  }
  const std::list<std::string> list(words.begin(), words.end());
  for (const auto& backend : backends()) {
    for (const int batch : {0, 1, 7}) {
      CAPTURE(backend);
      CAPTURE(batch);
      const Parallel parallel({.n_jobs = 3,
                               .backend = backend,
                               .batch_size = batch == 0 ? BatchSize(automatic) : batch});
      CHECK(parallel.reduce(words, std::string(">"), join) == all);
      CHECK(parallel.reduce(list, std::string(">"), join) == all);
      CHECK(parallel.reduce(std::views::iota(0, 2000), std::string(">"), join,
                            [](int i) { return std::to_string(i) + ' '; }) == all);
    }
  }
}

TEST_CASE("sums that are rounded are the same for each backend, number of workers and run") {
  const std::vector<double> values = uneven(20'000);
  const Array<double> array = Array<double>::copy_of(values);
  const auto read = values | std::views::transform([](double x) { return x; });
  const Parallel one({.n_jobs = 1, .backend = "sequential"});
  const double sum = one.reduce(values, 0.0, std::plus());
  const double sum_read = one.reduce(read, 0.0, std::plus());
  CHECK(sum != std::accumulate(values.begin(), values.end(), 0.0));  // or the test shows nothing
  for (const auto& backend : backends()) {
    for (const int n_jobs : {1, 2, 5}) {
      CAPTURE(backend);
      CAPTURE(n_jobs);
      const Parallel parallel({.n_jobs = n_jobs, .backend = backend});
      CHECK(parallel.reduce(values, 0.0, std::plus()) == sum);
      CHECK(parallel.reduce(array, 0.0, std::plus()) == sum);
      CHECK(parallel.reduce(read, 0.0, std::plus()) == sum_read);
    }
  }
}

TEST_CASE("values that are no T are added to a T that is made for the piece") {
  Histogram expected;
  for (int i = 0; i < 3000; ++i) ++expected[i % 7];
  for (const auto& backend : backends()) {
    CAPTURE(backend);
    const Parallel parallel({.n_jobs = 2, .backend = backend});
    CHECK(parallel.reduce(std::views::iota(0, 3000), Histogram(), Count()) == expected);
    CHECK(parallel.reduce(std::views::iota(0, 3000) | std::views::filter([](int) { return true; }),
                          Histogram(), Count(), [](int i) { return i; }) == expected);
  }
}

TEST_CASE("errors of a reduction are those of a loop") {
  for (const auto& backend : backends()) {
    CAPTURE(backend);
    const Parallel parallel({.n_jobs = 2, .backend = backend});
    const auto picky = [](int i) {
      if (i == 700) throw std::out_of_range("seven hundred");
      return i;
    };
    const std::vector<int> values(10, 700);
    CHECK_THROWS_AS(parallel.reduce(std::views::iota(0, 2000), 0, std::plus(), picky),
                    std::out_of_range);
    CHECK_THROWS_AS(parallel.reduce(std::list<int>(5, 700), 0, std::plus(), picky),
                    std::out_of_range);
    CHECK_THROWS_AS(parallel.reduce(values, 0,
                                    [](int a, int b) {
                                      if (a + b > 700) throw std::overflow_error("too much");
                                      return a + b;
                                    }),
                    std::overflow_error);
    const Parallel finishing({.n_jobs = 2, .backend = backend, .on_error = OnError::finish});
    CHECK_THROWS_AS(finishing.reduce(std::views::iota(0, 2000), 0, std::plus(), picky), LoopErrors);
    CHECK_THROWS_AS(finishing.reduce(std::list<int>(500, 700), 0, std::plus(), picky), LoopErrors);
    const Parallel hasty({.n_jobs = 2, .backend = backend, .timeout = 100ms});
    CHECK_THROWS_AS(hasty.reduce(std::views::iota(0, 100), 0, std::plus(),
                                 [](int i) {
                                   std::this_thread::sleep_for(20ms);
                                   return i;
                                 }),
                    TimedOut);
  }
}

TEST_CASE("elements are tasks for this_task, also where a piece is tried again") {
  for (const auto& backend : backends()) {
    CAPTURE(backend);
    const Parallel parallel({.n_jobs = 2, .backend = backend, .retries = 1});
    const auto checked = [](int i) -> long {
      const TaskInfo task = this_task();
      if (task.index != static_cast<std::size_t>(i)) throw std::logic_error("wrong index");
      if (i % 500 == 3 && task.attempt == 1) throw std::runtime_error("once");
      return i;
    };
    CHECK(parallel.reduce(std::views::iota(0, 2000), 0L, std::plus(), checked) == 1999000);
    CHECK(parallel.reduce(std::views::iota(0, 2000) | std::views::filter([](int) { return true; }),
                          0L, std::plus(), checked) == 1999000);
  }
}

TEST_CASE("what can't be sent is refused by name") {
  const std::vector<int> values{1, 2};
  int factor = 2;
  for (const std::string backend : {"threads", "fork"}) {
    if (backend == "fork" && conformance::only_backend() != nullptr) continue;  // that has threads
    CHECK(Parallel({.n_jobs = 2, .backend = backend})
              .reduce(values, 0, std::plus(), [&factor](int x) { return x * factor; }) == 6);
  }
  CHECK_THROWS_AS(Parallel({.n_jobs = 2, .backend = "spawn"})
                      .reduce(values, std::function<int()>(),
                              [](std::function<int()> f, const auto&) { return f; }),
                  CannotTravel);
  // Only moved, and only on threads.
  const auto sum = Parallel({.n_jobs = 2, .backend = "threads"})
                       .reduce(
                           values, std::make_unique<int>(0),
                           [](std::unique_ptr<int> a, std::unique_ptr<int> b) {
                             return std::make_unique<int>(*a + *b);
                           },
                           [](int x) { return std::make_unique<int>(x); });
  CHECK(*sum == 3);
}
