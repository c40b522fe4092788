// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>
#include <hoist/array.hpp>
#include <hoist/dump.hpp>
#include <hoist/hash.hpp>
#include <hoist/memory.hpp>

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "support/count_runs.hpp"
#include "support/temp_dir.hpp"

using hoist::Array;
using hoist::Memory;
using hoist::MmapMode;
using hoist::Shelved;
using support::TempDir;
using namespace std::chrono_literals;

namespace {

std::atomic<int> calls{0};

std::vector<int> range(int n) {
  ++calls;
  std::vector<int> values;
  for (int i = 0; i < n; ++i) values.push_back(i);
  return values;
}

template <class T>
Array<T> matrix(int n) {
  ++calls;
  auto values = Array<std::remove_const_t<T>>({static_cast<std::size_t>(n), 3});
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<double>(i) + n;
  return values;
}

void nothing(int) { ++calls; }
std::unique_ptr<int> moved(int x) {
  ++calls;
  return std::make_unique<int>(x);
}
// NOLINTNEXTLINE(bugprone-return-const-ref-from-parameter)
const std::string& reference(const std::string& text) { return text; }

struct Old {
  int a = 0;
  bool operator==(const Old&) const = default;
};
struct New {
  int a = 0;
  int b = 0;
  bool operator==(const New&) const = default;
};
template <class T>
T object(int a) {
  ++calls;
  return {a};
}

int runs(const auto& work) { return support::growth(calls, work); }

}  // namespace

TEST_CASE("results of every kind come back") {
  const TempDir dir;
  for (const hoist::Compression& compress :
       {hoist::Compression(), hoist::Compression("zstd", 3), hoist::Compression(0)}) {
    const Memory memory(dir.path(), {.compress = compress});
    memory.clear();
    const auto list = memory.cache(range);
    for (const int n : {0, 1, 1000, 300000}) {
      CHECK(runs([&] { CHECK(list(n) == list(n)); }) == 1);
    }
    const auto array = memory.cache(matrix<double>);
    CHECK(runs([&] { CHECK(array(5000) == array(5000)); }) == 1);
    const auto none = memory.cache(nothing);
    CHECK(runs([&] {
            none(1);
            none(1);
          }) == 1);
    none.call(1);
    none.call_and_shelve(1).get();
    const auto move_only = memory.cache(moved);
    CHECK(runs([&] { CHECK(*move_only(7) == *move_only(7)); }) == 1);
    CHECK(memory.cache(reference)("by value") == "by value");
    CHECK(memory.cache(reference)("by value") == "by value");
  }
}

TEST_CASE("arrays come back mapped, also from the computing call") {
  const TempDir dir;
  const auto is_mapped = [](const auto& array) {
    return !dynamic_cast<const void*>(array.storage().get()) ? false
                                                             : array.storage()->writable() == false;
  };
  const Memory memory(dir.path(), {.mmap_mode = MmapMode::read});
  for (const int n : {2, 5000}) {
    const auto cached = memory.cache(matrix<const double>);
    CHECK(is_mapped(cached(n)));
    CHECK(is_mapped(cached(n)));
    CHECK(cached(n) == matrix<double>(n));
  }
  // A modifiable type can't be mapped read-only; the error says so.
  CHECK_THROWS_AS(memory.cache(matrix<double>)(5), hoist::WrongType);
  const auto private_copy = memory.cache(matrix<double>, {.mmap_mode = MmapMode::copy_on_write});
  auto values = private_copy(7);
  values[0] = -1;
  CHECK(private_copy(7)[0] == 7);
  CHECK_THROWS_AS(Memory(dir.path(), {.compress = true, .mmap_mode = MmapMode::read}),
                  hoist::BadArgument);
}

TEST_CASE("a changed struct is a miss") {
  const TempDir dir;
  const Memory memory(dir.path());
  const hoist::CacheOptions options{.name = "object", .version = "1"};
  CHECK(memory.cache(object<Old>, options)(3) == Old{3});
  CHECK(runs([&] { CHECK(memory.cache(object<New>, options)(3) == New{3, 0}); }) == 1);
  CHECK(runs([&] { CHECK(memory.cache(object<New>, options)(3) == New{3, 0}); }) == 0);
}

TEST_CASE("call computes anew, and tells the metadata") {
  const TempDir dir;
  const Memory memory(dir.path());
  const auto cached = memory.cache(range);
  cached(4);
  CHECK(runs([&] {
          const auto [value, metadata] = cached.call(4);
          CHECK(value.size() == 4);
          CHECK(metadata.arguments == "4");
          CHECK(metadata.function.find("range") != std::string::npos);
          CHECK(metadata.created > std::chrono::system_clock::now() - 1min);
          CHECK(metadata.duration >= 0s);
          CHECK_FALSE(metadata.hoist_version.empty());
        }) == 1);
  CHECK(cached.check_call_in_cache(4));
  CHECK_FALSE(cached.check_call_in_cache(5));
  cached.clear();
  CHECK_FALSE(cached.check_call_in_cache(4));
  CHECK(runs([&] { memory.eval(range, 4); }) == 1);
  CHECK(runs([&] { CHECK(memory.eval(range, 4).size() == 4); }) == 0);
}

TEST_CASE("an entry is a file that load reads") {
  const TempDir dir;
  const Memory memory(dir.path());
  memory.cache(range)(3);
  for (const auto& file : std::filesystem::recursive_directory_iterator(dir.path())) {
    if (file.path().extension() != ".hoist" || !file.is_regular_file()) continue;
    const auto entry = hoist::load<hoist::EntryRecord<std::vector<int>>>(file.path());
    CHECK(entry.result == std::vector<int>{0, 1, 2});
    CHECK(entry.metadata.arguments == "3");
  }
}

TEST_CASE("validation decides over stored results") {
  const TempDir dir;
  const Memory memory(dir.path());
  const auto expiring = memory.cache(range, {.validate = hoist::expires_after(80ms)});
  CHECK(runs([&] {
          expiring(3);
          expiring(3);
        }) == 1);
  std::this_thread::sleep_for(120ms);
  CHECK_FALSE(expiring.check_call_in_cache(3));
  CHECK(expiring.explain_miss(3).find("validate") != std::string::npos);
  CHECK(runs([&] {
          expiring(3);
          expiring(3);
        }) == 1);
  const auto never =
      memory.cache(range, {.validate = [](const hoist::EntryMetadata&) { return false; }});
  CHECK(runs([&] {
          never(3);
          never(3);
        }) == 2);
}

TEST_CASE("a shelved result is a small value") {
  const TempDir dir;
  const Memory memory(dir / "cache");
  const auto cached = memory.cache(range);
  auto shelved = cached.call_and_shelve(1000);
  CHECK(runs([&] { CHECK(cached.call_and_shelve(1000).get().size() == 1000); }) == 0);
  CHECK(shelved.metadata().arguments == "1000");
  dump(shelved, dir / "shelved");
  CHECK(std::filesystem::file_size(dir / "shelved") < 1500);
  const auto back = hoist::load<Shelved<std::vector<int>>>(dir / "shelved");
  CHECK(back.get() == range(1000));
  CHECK(hoist::hash(back) == hoist::hash(shelved));
  shelved.clear();
  shelved.clear();
  CHECK_THROWS_AS(back.get(), hoist::NotFound);
  CHECK_THROWS_AS(Shelved<int>().get(), hoist::NotFound);

  auto carried = Memory().cache(range).call_and_shelve(5);
  dump(carried, dir / "carried");
  CHECK(hoist::load<Shelved<std::vector<int>>>(dir / "carried").get().size() == 5);
  carried.clear();
  CHECK_THROWS_AS(carried.get(), hoist::NotFound);
}

TEST_CASE("a shelved result onto damaged data says so") {
  const TempDir dir;
  const Memory memory(dir.path());
  const auto shelved = memory.cache(range).call_and_shelve(10);
  for (const auto& file : std::filesystem::recursive_directory_iterator(dir.path())) {
    if (file.path().extension() == ".hoist" && file.is_regular_file())
      support::spill(file.path(), "rubbish");
  }
  CHECK_THROWS_AS(shelved.get(), hoist::DamagedData);
}

TEST_CASE("a Memory is a value") {
  const TempDir dir;
  const Memory memory(dir / "cache",
                      {.compress = {"zstd", 1}, .bytes_limit = "1G", .hot_bytes = "1M"});
  CHECK(runs([&] { memory.cache(range)(6); }) == 1);
  dump(memory, dir / "memory");
  const auto back = hoist::load<Memory>(dir / "memory");
  CHECK(back.location() == memory.location());
  CHECK(back.options().compress.codec() == "zstd");
  CHECK(back.options().bytes_limit == hoist::ByteSize("1G"));
  CHECK(runs([&] { back.cache(range)(6); }) == 0);
  CHECK(hoist::hash(memory) == hoist::hash(back));
}

TEST_CASE("a cached function is a value") {
  const TempDir dir;
  const Memory memory(dir / "cache");
  const auto cached = memory.cache(range, {.version = "7"});
  CHECK(runs([&] { cached(6); }) == 1);
  dump(cached, dir / "function");
  const auto back = hoist::load<std::remove_const_t<decltype(cached)>>(dir / "function");
  CHECK(back.name() == cached.name());
  CHECK(runs([&] { CHECK(back(6).size() == 6); }) == 0);
  CHECK(hoist::hash(back) == hoist::hash(cached));
  // In a file of another build the address may be another function, or inside one.
  const std::string build = hoist::detail::build_of(reinterpret_cast<const void*>(&range));
  std::string bytes = support::slurp(dir / "function");
  if (const auto at = bytes.find(build); build.size() >= 8 && at != std::string::npos) {
    CHECK_THROWS_AS(hoist::detail::check_build("another", reinterpret_cast<const void*>(&range)),
                    hoist::CannotTravel);
  } else {
    CHECK(build.empty());
  }
  const auto fixed = memory.cache<range>({.version = "7"});
  dump(fixed, dir / "fixed");
  CHECK(runs([&] {
          CHECK(hoist::load<std::remove_const_t<decltype(fixed)>>(dir / "fixed")(6).size() == 6);
        }) == 0);
  CHECK_THROWS_AS(dump(memory.cache(range, {.validate = hoist::expires_after(1s)}), dir / "no"),
                  hoist::CannotTravel);
}

TEST_CASE("hot results come from memory and are each caller's own") {
  const TempDir dir;
  const Memory memory(dir.path(), {.hot_bytes = 100000});
  const auto cached = memory.cache(range);
  CHECK(runs([&] { cached(100); }) == 1);
  std::filesystem::remove_all(dir.path());  // nothing on disk is asked
  auto changed = cached(100);
  changed[0] = -1;
  CHECK(runs([&] { CHECK(cached(100)[0] == 0); }) == 0);
  const auto arrays = memory.cache(matrix<double>);
  arrays(1000)[0] = -1;
  arrays(1000)[0] = -1;
  CHECK(arrays(1000)[0] == 1000);
  const auto constant = memory.cache(matrix<const double>);
  constant(1000);
  CHECK(constant(1000).data() == constant(1000).data());
  // 100,000 bytes hold two of these.
  for (const int n : {10000, 10001, 10002}) cached(n);
  std::filesystem::remove_all(dir.path());
  CHECK(runs([&] { cached(10002); }) == 0);
  CHECK(runs([&] { cached(10000); }) == 1);
  memory.clear();
  CHECK(runs([&] { cached(10002); }) == 1);
}

TEST_CASE("many threads share one cache") {
  const TempDir dir;
  const Memory memory(dir.path(), {.items_limit = 60, .hot_bytes = "10K"});
  const auto cached = memory.cache(range);
  std::atomic<int> wrong{0};
  std::vector<std::jthread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 300; ++i) {
        const int n = (i * 7 + t) % 97;
        if (cached(n).size() != static_cast<std::size_t>(n)) ++wrong;
        if (i % 100 == 50) memory.reduce_size({.items_limit = 10});
        if (i % 150 == 149) cached.clear();
      }
    });
  }
  threads.clear();
  CHECK(wrong == 0);
}

TEST_CASE("what is removed from the store is not hot any longer") {
  const TempDir dir;
  const Memory memory(dir.path(), {.hot_bytes = 100000});
  const auto cached = memory.cache(range, {.tags = {"trial"}});
  cached(10);
  memory.reduce_size({.items_limit = 0}, {.tags = {"trial"}});
  CHECK(runs([&] { cached(10); }) == 1);
  CHECK(memory.entries().at(0).remove());
  CHECK(runs([&] { cached(10); }) == 1);
  cached.call_and_shelve(10).clear();
  CHECK(runs([&] { cached(10); }) == 1);
}
