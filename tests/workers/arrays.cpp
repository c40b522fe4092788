// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <hoist/parallel.hpp>
#include <hoist/share.hpp>

#include "support/peak_memory.hpp"
#include "support/sanitized.hpp"
#include "support/temp_dir.hpp"

using namespace hoist;

namespace {

constexpr std::size_t large = 1 << 20;  // elements: 8 MiB

double element(const Array<const double>& array, std::size_t i) { return array[i]; }
double bump(Array<double> array, std::size_t i) { return array[i] += 1; }
double last(const std::vector<double>& values) { return values.back(); }
double sum_of(std::span<const double> values) {
  return std::accumulate(values.begin(), values.end(), 0.0);
}

Array<double> counted() {
  auto array = Array<double>::uninitialized({large});
  for (std::size_t i = 0; i < large; ++i) array[i] = static_cast<double>(i);
  return array;
}

const Parallel& parallel() {
  static const Parallel made({.n_jobs = 2, .backend = "spawn"});
  return made;
}

struct Model {
  std::map<std::string, int> names;
  Array<const double> weights;
};

double evaluate(const Shared<Model>& model, int i) {
  return model->weights[static_cast<std::size_t>(i)] + model->names.at("one");
}

}  // namespace

TEST_CASE("an array argument is the same in all tasks, and what tasks write stays theirs") {
  const auto array = counted();
  for (int round = 0; round < 3; ++round) {
    const auto [a, b, c] =
        parallel()(delayed(bump)(array, std::size_t{5}), delayed(bump)(array, std::size_t{5}),
                   delayed(element)(Array<const double>(array), std::size_t{5}));
    CHECK(a == 6);
    CHECK(b == 6);
    CHECK(c == 5);
    CHECK(array[5] == 5);
  }
}

TEST_CASE("what the caller writes between loops is seen by the next") {
  const auto array = counted();
  const Array<const double> view = array;
  for (int round = 0; round < 4; ++round) {
    array[large / 2] = round;
    const auto [a, b] =
        parallel()(delayed(element)(view, large / 2), delayed(element)(view, large - 1));
    CHECK(a == round);
    CHECK(b == static_cast<double>(large - 1));
  }
  // Unchanged since the last loop, and now in shared memory.
  CHECK(array.storage()->backing().fd >= 0);
  array[0] = -1;
  CHECK(array.storage()->backing().fd < 0);
}

TEST_CASE("vectors and spans of any size arrive whole") {
  std::vector<double> values(300000, 1.0);
  values.back() = 7;
  const auto [a, b] =
      parallel()(delayed(last)(values), delayed(sum_of)(std::span<const double>(values)));
  CHECK(a == 7);
  CHECK(b == 300006);
  // A buffer that is refilled for each task: its content counts, not its address.
  const auto results = parallel()(std::views::iota(0, 6) | std::views::transform([&](int i) {
                                    values.back() = i;
                                    return delayed(last)(values);
                                  }));
  for (int i = 0; i < 6; ++i) CHECK(results[static_cast<std::size_t>(i)] == i);
}

TEST_CASE("results are the caller's own, and can be sent again") {
  const auto results = parallel().map(std::vector{1, 2, 3}, [](int x) {
    auto array = Array<double>::uninitialized({large});
    std::fill(array.data(), array.data() + large, x);
    return array;
  });
  for (const auto& array : results) {
    const double before = array[9];
    array[9] = 100;
    CHECK(parallel()(delayed(element)(Array<const double>(array), std::size_t{9}),
                     delayed(element)(Array<const double>(array), std::size_t{8})) ==
          std::tuple(100.0, before));
  }
}

TEST_CASE("a shared value is one for all loops") {
  const auto model = share(Model{{{"one", 1}}, counted()});
  for (int round = 0; round < 3; ++round) {
    const auto results = parallel()(std::views::iota(0, 10) | std::views::transform([&](int i) {
                                      return delayed(evaluate)(model, i);
                                    }));
    for (int i = 0; i < 10; ++i) CHECK(results[static_cast<std::size_t>(i)] == i + 1);
  }
  const auto small = share(std::string("text"));
  CHECK(parallel().map(std::vector{small, small}, [](const Shared<std::string>& s) {
    return *s;
  }) == std::vector<std::string>{"text", "text"});
}

TEST_CASE("an array argument is in memory once while it is copied") {
  if (support::sanitized) return;  // their memory counts, too
  constexpr std::size_t bytes = std::size_t{256} << 20;
  auto array = Array<double>::uninitialized({bytes / sizeof(double)});
  for (std::size_t i = 0; i < array.size(); ++i) array[i] = static_cast<double>(i);
  const auto grown = support::peak_growth([&] {
    const Array<const double> view = array;
    const auto results = parallel()(
        std::views::iota(std::size_t{0}, std::size_t{4}) |
        std::views::transform([&](std::size_t i) { return delayed(element)(view, i * 1000000); }));
    if (results[3] != 3e6 || array[array.size() - 1] != static_cast<double>(array.size() - 1)) {
      throw std::runtime_error("wrong");
    }
  });
  CHECK(grown < bytes / 2);
}

namespace {
/// Limits the number of this process's descriptors in its scope.
class FewDescriptors {
 public:
  explicit FewDescriptors(rlim_t most) {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    rlimit few = before_;
    few.rlim_cur = most;
    ::setrlimit(RLIMIT_NOFILE, &few);
  }
  ~FewDescriptors() { ::setrlimit(RLIMIT_NOFILE, &before_); }
  FewDescriptors(const FewDescriptors&) = delete;
  FewDescriptors& operator=(const FewDescriptors&) = delete;

 private:
  rlimit before_{};
};
}  // namespace

// Each result kept a descriptor, so a loop with many large results failed.
TEST_CASE("there may be more large arrays than descriptors") {
  const FewDescriptors few(256);
  constexpr std::size_t n = std::size_t{1} << 17;
  for (const char* backend : {"spawn", "fork"}) {
    CAPTURE(backend);
    const Parallel loop({.n_jobs = 2, .backend = backend, .workers = {.env = {{"FEW", "1"}}}});
    const auto arrays = loop.map(std::views::iota(0, 320), [](int i) {
      auto array = Array<double>::uninitialized({n});
      array[5] = i;
      return array;
    });
    for (int i = 0; i < 320; ++i) CHECK(arrays[static_cast<std::size_t>(i)][5] == i);
    const auto back = loop.map(arrays, [](const Array<double>& array) { return array[5]; });
    for (int i = 0; i < 320; ++i) CHECK(back[static_cast<std::size_t>(i)] == i);
    const auto total = loop(delayed(
        [](const std::vector<Array<double>>& all) { return all[3][5] + all[319][5]; })(arrays));
    CHECK(std::get<0>(total) == 322);
    const auto many = loop.map(std::views::iota(0, 2), [](int i) {
      std::vector<Array<double>> all;
      for (int k = 0; k < 140; ++k) {
        all.push_back(Array<double>::uninitialized({n}));
        all.back()[5] = i * k;
      }
      return all;
    });
    for (int k = 0; k < 140; ++k) CHECK(many[1][static_cast<std::size_t>(k)][5] == k);
  }
}
