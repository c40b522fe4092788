// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>
#include <hoist/array.hpp>
#include <hoist/memory.hpp>

#include <atomic>
#include <vector>

#include "memory/store.hpp"
#include "support/temp_dir.hpp"

using hoist::Array;
using hoist::ByteSize;
using hoist::Memory;
using support::TempDir;
using namespace std::chrono_literals;

namespace {

int same(int x) { return x; }

std::string text(int size) { return std::string(static_cast<std::size_t>(size), 'x'); }

Array<const int> numbers(int first) {
  auto values = Array<int>::uninitialized({5000});
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = first + static_cast<int>(i);
  return values;
}

/// The files that exist.
hoist::StoreUsage counted(const TempDir& dir) {
  hoist::StoreUsage usage;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(dir.path())) {
    if (entry.path().extension() != ".hoist" || !entry.is_regular_file()) continue;
    ++usage.items;
    usage.bytes += entry.file_size();
  }
  return usage;
}

}  // namespace

TEST_CASE("sizes are numbers or text") {
  CHECK(ByteSize(17).bytes() == 17);
  CHECK(ByteSize("17").bytes() == 17);
  CHECK(ByteSize("64K").bytes() == 65536);
  CHECK(ByteSize("1.5g").bytes() == 1536ULL << 20);
  CHECK(ByteSize("2 MiB").bytes() == 2U << 20);
  CHECK(ByteSize("1 K").bytes() == 1024);
  CHECK(ByteSize("3tiB").bytes() == 3ULL << 40);
  for (const char* bad : {"", "K", "MiB", "1X", "1KB", "1 B", "1iB", "1Mi", "1M iB", "1 MiB ", "-1",
                          "1e400", "nan", "99999999T"}) {
    CAPTURE(bad);
    CHECK_THROWS_AS(ByteSize{bad}, hoist::BadArgument);
  }
}

TEST_CASE("reduce_size removes the least recently used first") {
  const TempDir dir;
  const Memory memory(dir.path());
  const auto cached = memory.cache(same);
  for (int i = 0; i < 10; ++i) cached(i);
  cached(2);
  cached(0);
  memory.reduce_size({});
  memory.reduce_size({.bytes_limit = "1G", .items_limit = 10, .age_limit = 1h});
  CHECK(counted(dir).items == 10);
  memory.reduce_size({.items_limit = 3});
  CHECK(counted(dir).items == 3);
  for (const int kept : {0, 2, 9}) CHECK(cached.check_call_in_cache(kept));
  CHECK_FALSE(cached.check_call_in_cache(8));
  const auto one = counted(dir).bytes / 3;
  memory.reduce_size({.bytes_limit = one * 2});
  CHECK(counted(dir).items == 2);
  CHECK_THROWS_AS(memory.reduce_size({.age_limit = -1s}), hoist::BadArgument);
  memory.reduce_size({.age_limit = 0s});
  CHECK(counted(dir).items == 0);
}

TEST_CASE("limits hold by themselves, and the hot entry stays") {
  const TempDir dir;
  const Memory memory(dir.path(), {.items_limit = 100});
  const auto cached = memory.cache(same);
  std::uint64_t most = 0;
  for (int i = 0; i < 1000; ++i) {
    cached(i);
    cached(0);
    if (i % 10 == 0) most = std::max(most, counted(dir).items);
  }
  CHECK(most <= 110);
  CHECK(counted(dir).items >= 85);
  CHECK(cached.check_call_in_cache(0));
  CHECK(memory.stats().misses == 1000);

  const Memory by_bytes(dir / "bytes", {.bytes_limit = "1M"});
  const auto texts = by_bytes.cache(text);
  for (int i = 0; i < 300; ++i) texts(10000 + i);
  const hoist::StoreUsage usage = [&] {
    hoist::StoreUsage sum;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(dir / "bytes")) {
      if (entry.path().extension() == ".hoist" && entry.is_regular_file())
        sum.bytes += entry.file_size();
    }
    return sum;
  }();
  CHECK(usage.bytes <= 1100 << 10);
  CHECK(usage.bytes >= 900 << 10);

  const Memory by_age(dir / "age", {.age_limit = 50ms});
  const auto aging = by_age.cache(same);
  aging(1);
  std::this_thread::sleep_for(100ms);
  aging(2);
  CHECK_FALSE(aging.check_call_in_cache(1));
}

TEST_CASE("several processes keep one limit") {
  const TempDir dir;
  std::vector<pid_t> children;
  for (int c = 0; c < 4; ++c) {
    const pid_t child = ::fork();
    if (child == 0) {
      const Memory memory(dir.path(), {.items_limit = 200});
      const auto cached = memory.cache(same);
      int wrong = 0;
      for (int i = 0; i < 1000; ++i) wrong += cached(c * 700 + i) == c * 700 + i ? 0 : 1;
      ::_exit(wrong == 0 ? 0 : 1);
    }
    children.push_back(child);
  }
  std::uint64_t most = 0;
  for (const pid_t child : children) {
    int status = 0;
    while (::waitpid(child, &status, WNOHANG) == 0) {
      most = std::max(
          most,
          hoist::detail::memory::make_store("local", {.location = dir.path()})->usage().items);
      std::this_thread::sleep_for(1ms);
    }
    CHECK(WEXITSTATUS(status) == 0);
  }
  CHECK(most <= 220);
  CHECK(counted(dir).items <= 220);
}

TEST_CASE("a mapped result stays valid after its entry has gone") {
  const TempDir dir;
  const Memory memory(dir.path(), {.mmap_mode = hoist::MmapMode::read});
  const auto cached = memory.cache(numbers);
  const auto first = cached(100);
  const auto again = cached(100);
  CHECK(first.storage()->backing().fd == again.storage()->backing().fd);
  memory.reduce_size({.items_limit = 0});
  memory.clear();
  CHECK(first == numbers(100));
  CHECK(again == numbers(100));
}

TEST_CASE("the record of uses grows with the store") {
  const TempDir dir;
  const Memory memory(dir.path());
  const auto cached = memory.cache(same);
  for (int i = 0; i < 5000; ++i) cached(i);
  CHECK(std::filesystem::file_size(dir / ".hoist/uses") > std::size_t{4096} * 16 + 64);
  for (int i = 0; i < 100; ++i) cached(i);  // among the oldest
  const auto store = hoist::detail::memory::make_store("local", {.location = dir.path()});
  CHECK(store->usage().items == 5000);
  memory.reduce_size({.items_limit = 200});
  int kept = 0;
  for (int i = 0; i < 100; ++i) kept += cached.check_call_in_cache(i) ? 1 : 0;
  CHECK(kept >= 98);  // a use is lost where more entries share a slot group than it has slots
  CHECK(store->usage().items == 200);
}

TEST_CASE("damage to the record of uses only makes it forget") {
  const TempDir dir;
  {
    const Memory memory(dir.path());
    for (int i = 0; i < 20; ++i) memory.cache(same)(i);
  }
  for (const std::string& rubbish :
       {std::string(), std::string("rubbish"), std::string(100000, '\xff')}) {
    support::spill(dir / ".hoist/uses", rubbish);
    const Memory memory(dir.path(), {.items_limit = 50});
    const auto cached = memory.cache(same);
    for (int i = 0; i < 100; ++i) CHECK(cached(i) == i);
    CHECK(counted(dir).items <= 55);
  }
}

TEST_CASE("a record of uses that says it was replaced is not mapped at each use") {
  const TempDir dir;
  Memory(dir.path()).cache(same)(1);
  std::string table = support::slurp(dir / ".hoist/uses");
  table.at(40) = 1;
  support::spill(dir / ".hoist/uses", table);
  const Memory memory(dir.path(), {.items_limit = 50});
  const auto cached = memory.cache(same);
  cached(1);
  const std::size_t before = support::count_entries("/proc/self/fd");
  for (int i = 0; i < 100; ++i) cached(1);
  CHECK(support::count_entries("/proc/self/fd") == before);
  for (int i = 0; i < 100; ++i) cached(i);
  CHECK(counted(dir).items <= 55);
}

TEST_CASE("records of uses that are removed again and again leave no descriptors") {
  const TempDir dir;
  const Memory memory(dir / "cache");
  const auto cached = memory.cache(same);
  cached(0);
  const std::size_t before = support::count_entries("/proc/self/fd");
  for (int i = 0; i < 20; ++i) {
    std::filesystem::remove_all(dir / "cache");
    cached(i);
  }
  CHECK(support::count_entries("/proc/self/fd") <= before + 1);
}

TEST_CASE("entries that came uncounted and were removed do not raise a limit") {
  const TempDir dir;
  const Memory from(dir / "from");
  for (int i = 0; i < 200; ++i) from.cache(same)(i);
  const Memory memory(dir / "to", {.items_limit = 20});
  const auto cached = memory.cache(same);
  cached(-1);
  std::filesystem::remove_all(dir / "from/.hoist");
  std::filesystem::copy(
      dir / "from", dir / "to",
      std::filesystem::copy_options::recursive | std::filesystem::copy_options::skip_existing);
  memory.clear();
  for (int i = 0; i < 100; ++i) cached(i);
  std::filesystem::remove_all(dir / "from");
  CHECK(counted(dir).items <= 22);
}

TEST_CASE("what was used before the clock was set back goes first") {
  const TempDir dir;
  {
    const Memory memory(dir.path());
    for (int i = 0; i < 20; ++i) memory.cache(same)(i);
  }
  std::filesystem::remove(dir / ".hoist/uses");
  for (const auto& entry : std::filesystem::recursive_directory_iterator(dir.path())) {
    if (entry.path().extension() != ".hoist" || !entry.is_regular_file()) continue;
    std::filesystem::last_write_time(entry, std::filesystem::file_time_type::clock::now() + 48h);
  }
  const Memory memory(dir.path(), {.items_limit = 20});
  const auto cached = memory.cache(same);
  for (int i = 100; i < 115; ++i) cached(i);
  for (int i = 100; i < 115; ++i) CHECK(cached.check_call_in_cache(i));
  memory.reduce_size({.age_limit = 1h});
  CHECK(counted(dir).items == 15);
}

TEST_CASE("entries of other stores keep the limits, too") {
  const TempDir dir;
  const Memory from(dir / "from");
  for (int i = 0; i < 100; ++i) from.cache(same)(i);
  const Memory merged(dir / "merged", {.items_limit = 20});
  CHECK(merged.merge(from).items == 100);
  CHECK(merged.entries().size() <= 20);
  from.export_to(dir / "archive.tar");
  const Memory imported(dir / "imported", {.items_limit = 20});
  CHECK(imported.import_from(dir / "archive.tar").items == 100);
  CHECK(imported.entries().size() <= 20);
}
