// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>
#include <hoist/cached_fn.hpp>
#include <hoist/memory.hpp>
#include <hoist/parallel.hpp>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <map>
#include <numeric>
#include <string>
#include <variant>
#include <vector>

#include "support/count_runs.hpp"
#include "support/temp_dir.hpp"

using hoist::Memory;
using hoist::OnMiss;
using hoist::Parallel;
using support::TempDir;

namespace {

std::atomic<int> calls{0};

std::vector<int> range(int n) {
  ++calls;
  std::vector<int> values(static_cast<std::size_t>(n));
  std::iota(values.begin(), values.end(), 0);
  return values;
}
double scaled(double x, double by) {
  ++calls;
  return x * by;
}
void nothing(int) { ++calls; }
int odd_only(int x) {
  if (x % 2 == 0) throw std::out_of_range("even");
  return x;
}

int runs(const auto& work) { return support::growth(calls, work); }

/// Every path below a directory, with the size and the time of last change of files.
std::map<std::string, std::pair<std::uintmax_t, std::filesystem::file_time_type>> snapshot(
    const std::filesystem::path& directory) {
  std::map<std::string, std::pair<std::uintmax_t, std::filesystem::file_time_type>> all;
  for (const auto& one : std::filesystem::recursive_directory_iterator(directory)) {
    all[one.path().string()] = {one.is_regular_file() ? one.file_size() : 0, one.last_write_time()};
  }
  return all;
}

}  // namespace

TEST_CASE("cached_result looks a result up and computes nothing") {
  const TempDir dir;
  for (const char* hot : {"0", "1M"}) {
    const Memory memory(dir.path(), {.hot_bytes = hot});
    memory.clear();
    const auto cached = memory.cache(range);
    CHECK(runs([&] { CHECK_FALSE(cached.cached_result(5).has_value()); }) == 0);
    CHECK(memory.stats().misses == 0);
    cached(5);
    CHECK(runs([&] { CHECK(cached.cached_result(5) == range(5)); }) == 1);  // range() itself
    CHECK(memory.stats().hits == 1);
    const hoist::CachedFn<std::vector<int>(int)> erased = cached;
    CHECK(erased.cached_result(5)->size() == 5);
    const auto none = memory.cache(nothing);
    CHECK_FALSE(none.cached_result(1).has_value());
    none(1);
    CHECK(none.cached_result(1) == std::monostate());
  }
  CHECK_FALSE(Memory().cache(range).cached_result(5).has_value());
}

TEST_CASE("put stores what was computed elsewhere") {
  const TempDir dir;
  const Memory memory(dir.path(), {.hot_bytes = "1M"});
  const auto cached = memory.cache(range);
  cached.put({7, 8, 9}, 3);
  CHECK(runs([&] { CHECK(cached(3) == std::vector<int>{7, 8, 9}); }) == 0);
  const hoist::CachedFn<std::vector<int>(int)> erased = cached;
  erased.put({1}, 3);  // replaces it, in this process's memory, too
  CHECK(cached(3) == std::vector<int>{1});
  CHECK(Memory(dir.path()).cache(range)(3) == std::vector<int>{1});
  CHECK(cached.call_and_shelve(3).metadata().duration.count() == 0);
  memory.cache(nothing).put({}, 4);
  CHECK(runs([&] { memory.cache(nothing)(4); }) == 0);
  Memory().cache(range).put({1}, 3);
}

TEST_CASE("map reads hits and computes misses in parallel, on every backend") {
  for (const char* backend : {"sequential", "threads", "fork", "spawn"}) {
    CAPTURE(backend);
    const TempDir dir;
    const Memory memory(dir.path());
    const Parallel parallel({.n_jobs = 2, .backend = backend});
    const auto cached = memory.cache(range);
    cached(2);
    cached(4);
    const auto lists = cached.map(std::views::iota(0, 7), parallel);
    REQUIRE(lists.size() == 7);
    for (int n = 0; n < 7; ++n) CHECK(lists[static_cast<std::size_t>(n)].size() == std::size_t(n));
    CHECK(memory.stats().hits == 2);
    for (int n = 0; n < 7; ++n) CHECK(cached.check_call_in_cache(n));
    CHECK(runs([&] { CHECK(cached.map(std::vector{6, 1}, parallel)[0].size() == 6); }) == 0);

    const auto products = memory.cache(scaled);
    const std::vector<std::pair<double, double>> pairs = {{2, 3}, {4, 5}, {2, 3}};
    CHECK(products.starmap(pairs, parallel) == std::vector<double>{6, 20, 6});
    CHECK(products.check_call_in_cache(4, 5));
    memory.cache(nothing).map(std::vector{1, 2}, parallel);
    CHECK(memory.cache(nothing).check_call_in_cache(2));
    // What was computed before a failure stays.
    const auto failing = memory.cache(odd_only);
    CHECK_THROWS_AS(failing.map(std::vector{1, 2}, parallel), std::out_of_range);
    CHECK(failing.map(std::vector{1, 3}, parallel) == std::vector<int>{1, 3});
  }
}

TEST_CASE("on_miss = fail computes nothing") {
  const TempDir dir;
  Memory(dir.path()).cache(range)(3);
  const Memory memory(dir.path(), {.on_miss = OnMiss::fail});
  const auto cached = memory.cache(range);
  CHECK(runs([&] {
          CHECK(cached(3).size() == 3);
          CHECK_THROWS_WITH_AS(cached(4), doctest::Contains("range(4)"), hoist::NotFound);
          CHECK_THROWS_AS(cached.call_and_shelve(4), hoist::NotFound);
          CHECK_FALSE(cached.cached_result(4).has_value());
          CHECK_THROWS_AS(Memory({}, {.on_miss = OnMiss::fail}).cache(range)(4), hoist::NotFound);
        }) == 0);
  CHECK(memory.stats().misses == 0);
  CHECK(cached.call(4).value.size() == 4);
}

TEST_CASE("a read-only Memory reads and leaves no trace") {
  const TempDir dir;
  Memory(dir.path()).cache(range)(3);
  const auto before = snapshot(dir.path());
  std::string uses = support::slurp(dir / ".hoist/uses");
  {
    const Memory memory(dir.path(), {.items_limit = 0, .read_only = true});
    const auto cached = memory.cache(range);
    CHECK(runs([&] {
            CHECK(cached(3).size() == 3);
            CHECK(cached(4).size() == 4);
            CHECK(cached(4).size() == 4);
            CHECK(cached.call_and_shelve(5).get().size() == 5);
            CHECK(cached.call(3).value.size() == 3);
          }) == 4);
    CHECK(memory.stats().stored == 0);
    CHECK(memory.stats().errors == 0);
    CHECK_THROWS_AS(memory.clear(), hoist::BadArgument);
    CHECK_THROWS_AS(cached.clear(), hoist::BadArgument);
    CHECK_THROWS_AS(cached.put({1}, 3), hoist::BadArgument);
    CHECK_THROWS_AS(memory.reduce_size({.items_limit = 0}), hoist::BadArgument);
    CHECK_THROWS_AS(cached.call_and_shelve(3).clear(), hoist::BadArgument);
    CHECK_THROWS_AS(memory.entries().at(0).remove(), hoist::BadArgument);
    CHECK(memory.functions().at(0).items == 1);
    // Sent to another process it stays what it is.
    dump(memory, dir / "memory");
    CHECK(hoist::load<Memory>(dir / "memory").options().read_only);
    std::filesystem::remove(dir / "memory");
  }
  CHECK(snapshot(dir.path()) == before);
  CHECK(support::slurp(dir / ".hoist/uses") == uses);
  // Nothing is made where there is nothing; computed results are kept in memory if they may be.
  const Memory nowhere(dir / "nowhere", {.hot_bytes = "1M", .read_only = true});
  CHECK(runs([&] {
          nowhere.cache(range)(9);
          nowhere.cache(range)(9);
        }) == 1);
  CHECK_FALSE(std::filesystem::exists(dir / "nowhere"));
}

TEST_CASE("a cache of version 0.1 is read, and is the same after new results") {
  const TempDir dir;
  std::filesystem::copy(HOIST_TEST_DATA "/cache-0.1", dir / "cache",
                        std::filesystem::copy_options::recursive);
  const Memory memory(dir / "cache");
  const auto ranges = memory.cache(range, {.name = "range", .version = "1"});
  CHECK(runs([&] { CHECK(ranges(3) == std::vector<int>{0, 1, 2}); }) == 0);
  const auto ramp = memory.cache(
      [](int n) {
        ++calls;
        return hoist::Array<double>({static_cast<std::size_t>(n)});
      },
      {.name = "ramp", .version = "1"});
  CHECK(runs([&] { CHECK(ramp(2000)[1999] == 1999); }) == 0);
  const auto functions = memory.functions();
  REQUIRE(functions.size() == 2);
  CHECK(functions[0].name == "ramp");
  CHECK(functions[1].name == "range");
  for (const auto& entry : memory.entries()) {
    CHECK(entry.metadata().hoist_version == "0.1.0");
    CHECK(entry.metadata().tags.empty());
    entry.verify();
  }
  const auto file = dir / "cache" / (memory.entries({.function = "range"}).at(0).name() + ".hoist");
  CHECK(hoist::load<hoist::EntryRecord<std::vector<int>>>(
            file, {.missing_members = hoist::MissingMembers::keep_default})
            .result.size() == 3);
  // Of another type it is still another type.
  const auto other = memory.cache(
      [](int n) {
        ++calls;
        return std::string(static_cast<std::size_t>(n), 'x');
      },
      {.name = "range", .version = "1"});
  CHECK(runs([&] { CHECK(other(3) == "xxx"); }) == 1);
}
