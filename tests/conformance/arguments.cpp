// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>
#include <hoist/error.hpp>
#include <hoist/open_array.hpp>
#include <hoist/parallel.hpp>

#include <filesystem>
#include <fstream>
#include <list>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "conformance/support.hpp"
#include "support/temp_dir.hpp"

using namespace hoist;
using conformance::backends;
using conformance::shares_memory;

namespace {

/// Fails the first two times that it is called with a path.
void fail_twice(const std::string& path) {
  const auto before = std::filesystem::exists(path) ? std::filesystem::file_size(path) : 0;
  std::ofstream(path, std::ios::app) << 'x';
  if (before < 2) throw std::runtime_error("attempt " + std::to_string(before));
}

int take_rvalue(const std::string& path, std::vector<int>&& values) {
  const std::vector<int> own = std::move(values);
  fail_twice(path);
  return static_cast<int>(own.size());
}
int take_value(const std::string& path, std::vector<int> values) {
  values.push_back(1);
  fail_twice(path);
  return static_cast<int>(values.size());
}
int take_pointer(const std::string& path, std::unique_ptr<int> pointer) {
  const auto own = std::move(pointer);
  fail_twice(path);
  return own == nullptr ? -1 : *own;
}
int look_at_pointer(const std::string& path, const std::unique_ptr<int>& pointer) {
  fail_twice(path);
  return *pointer;
}
int use_scratch(const std::string& path, std::vector<int>& scratch) {
  scratch.push_back(1);
  fail_twice(path);
  return static_cast<int>(scratch.size());
}
struct Counting {
  int calls = 0;
  int operator()(const std::string& path) {
    ++calls;
    fail_twice(path);
    return calls;
  }
};

template <class F>
std::string refusal(F f) {
  try {
    f();
  } catch (const CannotTravel& error) {
    return error.what();
  }
  return {};
}

void fill(Array<double> array, std::size_t at) { array[at] = static_cast<double>(at) + 1; }
void fill_reference(Array<double>& array, std::size_t at) { fill(array, at); }

}  // namespace

TEST_CASE("each attempt gets the arguments as they were given") {
  for (const auto& backend : backends()) {
    CAPTURE(backend);
    const support::TempDir dir;
    int number = 0;
    // The paths of a batch of calls: each call is made by three loops, which count separately.
    const auto with_path = [&](auto make) {
      std::vector<decltype(make(std::string()))> calls;
      for (int i = 0; i < 3; ++i) calls.push_back(make((dir / std::to_string(number++)).string()));
      return calls;
    };
    const auto check = [&](auto make, int expected) {
      const Parallel parallel({.n_jobs = 2, .backend = backend, .retries = 2});
      auto in_place = with_path(make);
      CHECK(parallel(in_place) == std::vector<int>(3, expected));
      auto read = with_path(make);
      std::list list(std::make_move_iterator(read.begin()), std::make_move_iterator(read.end()));
      CHECK(parallel(list) == std::vector<int>(3, expected));
      auto lazy = with_path(make);
      for (const int value : parallel.generator(lazy | std::views::transform([](auto& call) {
                                                  return std::remove_cvref_t<decltype(call)>(call);
                                                }))) {
        CHECK(value == expected);
      }
      auto single = make((dir / std::to_string(number++)).string());
      CHECK(std::get<0>(parallel(single)) == expected);
    };
    const std::vector<int> five(5);
    check([&](const std::string& path) { return delayed(take_rvalue)(path, five); }, 5);
    check([&](const std::string& path) { return delayed(take_value)(path, five); }, 6);
    check([&](const std::string& path) { return delayed(Counting{})(path); }, 1);
    check(
        [&](const std::string& path) {
          return delayed([](const auto& to, auto&& values) {
            return take_rvalue(to, std::vector<int>(std::forward<decltype(values)>(values)));
          })(path, five);
        },
        5);
    if (shares_memory(backend)) {
      check([&](const std::string& path) { return delayed(use_scratch)(path, five); }, 6);
    }
  }
}

TEST_CASE("items of map are the same at each attempt, too") {
  for (const auto& backend : backends()) {
    CAPTURE(backend);
    const support::TempDir dir;
    const Parallel parallel({.n_jobs = 2, .backend = backend, .retries = 2});
    int number = 0;
    const auto items = [&] {
      std::vector<std::pair<std::string, std::vector<int>>> made;
      for (int i = 0; i < 3; ++i) {
        made.emplace_back((dir / std::to_string(number++)).string(), std::vector<int>(5));
      }
      return made;
    };
    using Item = std::pair<std::string, std::vector<int>>;
    const auto by_rvalue = [](Item&& item) {
      return take_rvalue(item.first, std::move(item.second));
    };
    const auto by_value = [](Item item) {
      item.second.push_back(1);
      return take_rvalue(item.first, std::move(item.second));
    };
    auto in_place = items();
    CHECK(parallel.map(in_place, by_rvalue) == std::vector{5, 5, 5});
    in_place = items();
    CHECK(parallel.map(in_place, by_value) == std::vector{6, 6, 6});
    const auto lazy = items();
    auto copies = lazy | std::views::transform([](const Item& item) { return item; });
    CHECK(parallel.map(copies, by_rvalue) == std::vector{5, 5, 5});
  }
}

TEST_CASE("a task that moves from what can't be copied is run again with it, or refused") {
  for (const auto& backend : backends()) {
    CAPTURE(backend);
    const support::TempDir dir;
    int number = 0;
    const auto path = [&] { return (dir / std::to_string(number++)).string(); };
    const Parallel parallel({.n_jobs = 2, .backend = backend, .retries = 2});
    const auto run = [&] {
      return std::get<0>(parallel(delayed(take_pointer)(path(), std::make_unique<int>(5))));
    };
    const auto run_map = [&] {
      std::vector<std::unique_ptr<int>> pointers;
      pointers.push_back(std::make_unique<int>(5));
      return parallel.map(pointers, [](std::unique_ptr<int> p) { return *p; })[0];
    };
    if (backend == "spawn" || conformance::is_remote(backend)) {
      CHECK(run() == 5);
      CHECK(run_map() == 5);
    } else {
      CHECK_THROWS_WITH_AS(run(), doctest::Contains("retries"), BadArgument);
      CHECK_THROWS_WITH_AS(run_map(), doctest::Contains("std::unique_ptr<int"), BadArgument);
    }
    // Without retries, or if it only looks, nothing is in the way.
    const Parallel once({.n_jobs = 2, .backend = backend});
    auto call = delayed([](std::unique_ptr<int> p) { return *p; })(std::make_unique<int>(4));
    CHECK(std::get<0>(once(call)) == 4);
    CHECK(std::get<0>(parallel(delayed(look_at_pointer)(path(), std::make_unique<int>(3)))) == 3);
  }
}

TEST_CASE("a task that would write to a copy in another process is refused, and told what to do") {
  int x = 1;
  std::vector<int> values{1, 2, 3};
  const auto write = [](int& value) { value += 10; };
  const auto write_and_return = [](int& value) { return value += 10; };
  const auto write_generic = [](auto& value) { value += 10; };
  const auto write_referred = [](std::reference_wrapper<int> value) { value.get() += 10; };
  const auto write_span = [](std::span<int> part) { part[0] += 10; };
  for (const auto& backend : backends()) {
    CAPTURE(backend);
    const Parallel parallel({.n_jobs = 2, .backend = backend});
    const auto all = [&](auto check) {
      check([&] { parallel.for_each(values, write); });
      check([&] { parallel.map(values, write_and_return); });
      check([&] { parallel.for_each(values, write_generic); });
      check([&] { parallel(delayed(write)(std::ref(x))); });
      check([&] { parallel(delayed(write_referred)(std::ref(x))); });
      check([&] { parallel(std::vector{delayed(write_referred)(std::ref(x))}); });
      check([&] { parallel(delayed(write_span)(std::span(values))); });
    };
    const std::vector<int> before = values;
    x = 1;
    if (shares_memory(backend)) {
      all([&](auto run) { CHECK(refusal(run) == ""); });
      CHECK(x == 31);
      CHECK(values == std::vector{before[0] + 40, before[1] + 30, before[2] + 30});
    } else {
      all([&](auto run) {
        const std::string text = refusal(run);
        CAPTURE(text);
        CHECK(text.find("threads") != std::string::npos);
        CHECK(text.find("read_write") != std::string::npos);
        CHECK(text.find("argument 1") != std::string::npos);
      });
      CHECK(refusal([&] { parallel(delayed(write)(x)); }) != "");
      CHECK(x == 1);
      CHECK(values == before);
    }
    // Tasks that only read, or write to something of their own.
    CHECK(parallel.map(std::as_const(values), [](const int& value) { return value - value; })[2] ==
          0);
    CHECK(parallel.map(values, [](auto&& value) { return value - value; })[2] == 0);
    CHECK(std::get<0>(parallel(delayed([](const int& value) { return value; })(std::cref(x)))) ==
          x);
    CHECK(std::get<0>(parallel(delayed([](std::vector<int> own) {
            own.push_back(1);
            return own.size();
          })(values))) == 4);
    CHECK(std::get<0>(parallel(delayed([](std::span<const int> part) { return part.size(); })(
              std::span(values)))) == 3);
  }
}

TEST_CASE("what tasks write to a file mapped read_write is in the file") {
  constexpr std::size_t large = 1 << 18;
  for (const auto& backend : backends()) {
    if (conformance::is_remote(backend)) continue;  // refused
    for (const std::size_t n : {std::size_t{8}, large}) {
      for (const bool container : {false, true}) {
        CAPTURE(backend);
        CAPTURE(n);
        const support::TempDir dir;
        const auto path = dir / (container ? "shared.hoist" : "shared.npy");
        auto array = open_array<double>(path, {n}, MmapMode::write);
        std::vector<decltype(delayed(fill)(array, n))> calls;
        for (std::size_t i = 0; i < 8; ++i) calls.push_back(delayed(fill)(array, i));
        Parallel({.n_jobs = 2, .backend = backend})(calls);
        Parallel({.n_jobs = 2, .backend = backend})(delayed(fill_reference)(array, n - 1));
        const auto loaded = load<Array<double>>(path);
        for (std::size_t i = 0; i < 7; ++i) {
          CHECK(array[i] == static_cast<double>(i + 1));
          CHECK(loaded[i] == static_cast<double>(i + 1));
        }
        CHECK(loaded[n - 1] == static_cast<double>(n));
        // In a struct, as part of the array, and with nothing to be shared.
        struct Parts {
          std::vector<Array<double>> arrays;
        };
        auto rows = open_array<double>(dir / "rows.npy", {4, n / 4});
        const auto fill_parts = [](const Parts& parts) { fill(parts.arrays.at(0), 0); };
        Parallel({.n_jobs = 2, .backend = backend, .max_nbytes = std::nullopt})(
            delayed(fill_parts)(Parts{{rows}}));
        CHECK(rows.data()[0] == 1);
      }
    }
  }
}

TEST_CASE("writes to read_write arrays that would be lost are refused") {
  const support::TempDir dir;
  const auto array = open_array<double>(dir / "a.npy", {4, 4});
  const Parallel parallel({.n_jobs = 2, .backend = "spawn"});
  const auto columns = array.slice(1, 0, 2);
  CHECK_THROWS_WITH_AS(parallel(delayed(fill)(columns, std::size_t{1})),
                       doctest::Contains("strided"), CannotTravel);
  const auto read_only = [](const Array<const double>& a) { return a.size(); };
  const Array<const double> view = array;
  CHECK(std::get<0>(parallel(delayed(read_only)(view))) == 16);
}

TEST_CASE("a task may write to one argument and read another by reference or as a view") {
  std::vector<int> scratch{1, 2};
  const std::string text = "text";
  const auto task = [](std::vector<int>& to, const std::string& read, std::string_view view) {
    to.assign(read.size() + view.size(), 1);
    return to.size();
  };
  for (const std::string& backend : backends()) {
    CAPTURE(backend);
    const Parallel parallel({.n_jobs = 2, .backend = backend});
    const auto run = [&] {
      return std::get<0>(parallel(delayed(task)(scratch, std::cref(text), std::string_view(text))));
    };
    if (shares_memory(backend)) {
      CHECK(run() == 8);
    } else {
      CHECK_THROWS_AS(run(), CannotTravel);
    }
  }
}
