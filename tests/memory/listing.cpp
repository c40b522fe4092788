// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>
#include <hoist/array.hpp>
#include <hoist/memory.hpp>
#include <hoist/value.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "base/checksum.hpp"
#include "formats/container.hpp"
#include "support/temp_dir.hpp"

using hoist::EntryFilter;
using hoist::Memory;
using hoist::MemoryEntry;
using support::TempDir;
using namespace std::chrono_literals;

namespace listing {
std::string label_of(int x);
std::string label_of(int x) { return "label " + std::to_string(x); }
}  // namespace listing

namespace {

double half(int x) { return x / 2.0; }
int longest(std::uint64_t) { return 20; }
std::string name_of(int x) { return "number " + std::to_string(x); }
hoist::Array<double> zeros(int n) { return hoist::Array<double>({static_cast<std::size_t>(n)}); }

std::size_t count(const Memory& memory, const EntryFilter& filter = {}) {
  return memory.entries(filter).size();
}

}  // namespace

TEST_CASE("functions and their entries are listed") {
  for (const char* backend : {"local", "memory"}) {
    CAPTURE(backend);
    const TempDir dir;
    const Memory memory(dir / "cache", {.backend = backend});
    CHECK(memory.functions().empty());
    CHECK(memory.entries().empty());
    const auto halves = memory.cache(half);
    const auto pinned = memory.cache(half, {.version = "2"});
    const auto names = memory.cache(name_of);
    for (int i = 0; i < 5; ++i) halves(i);
    for (int i = 0; i < 3; ++i) halves(1);
    pinned(1);
    names(7);
    const auto functions = memory.functions();
    REQUIRE(functions.size() == 2);
    CHECK(functions[0].name == halves.name());
    CHECK(functions[0].items == 6);
    CHECK(functions[0].uses == 3);
    CHECK(functions[0].saved > 0ns);
    CHECK(functions[0].bytes > 6 * 100);
    CHECK(functions[0].last_used > std::chrono::system_clock::now() - 1min);
    REQUIRE(functions[0].versions.size() == 2);
    CHECK(functions[0].versions[0].version.starts_with("2-"));
    CHECK(functions[0].versions[1].items == 5);
    CHECK(functions[1].name == names.name());
    CHECK(functions[1].uses == 0);  // listing is no use

    double sum = 0;
    for (const MemoryEntry& entry : memory.entries({.function = "*half*"})) {
      CHECK(entry.metadata().function == halves.name());
      CHECK(entry.bytes() > 100);
      CHECK(entry.function_directory() == functions[0].directory);
      sum += entry.result<double>();
      CHECK_THROWS_AS((void)entry.result<std::string>(), hoist::WrongType);
      entry.verify();
    }
    CHECK(sum == 0 + 0.5 + 1 + 1.5 + 2 + 0.5);
    const auto text = memory.entries({.function = "name_?f"});
    REQUIRE(text.size() == 1);
    CHECK(text[0].value().as_text() == "number 7");
    CHECK(count(memory, {.function = "half?"}) == 0);

    // Typed: those of one function as it is.
    const auto handles = halves.entries();
    CHECK(handles.size() == 5);
    CHECK(std::ranges::count_if(handles, [](const auto& handle) { return handle.get() == 2; }) ==
          1);

    CHECK(text[0].remove());
    CHECK_FALSE(text[0].remove());
    CHECK_THROWS_AS((void)text[0].metadata(), hoist::NotFound);
    CHECK_THROWS_AS((void)text[0].value(), hoist::NotFound);
    CHECK_THROWS_AS(text[0].verify(), hoist::NotFound);
    CHECK(memory.functions().size() == 1);
  }
}

TEST_CASE("tags mark new entries, and choose those to be removed") {
  const TempDir dir;
  const Memory memory(dir.path());
  const auto trial = memory.cache(half, {.tags = {"trial", "night"}});
  const auto kept = memory.cache(half, {.tags = {"kept"}});
  const auto plain = memory.cache(half);
  for (int i = 0; i < 4; ++i) trial(i);
  for (int i = 0; i < 6; ++i) kept(i);  // of these two are new
  plain(1);
  plain(9);
  CHECK(memory.stats().misses == 7);
  CHECK(count(memory, {.tags = {"trial"}}) == 4);
  CHECK(count(memory, {.tags = {"night", "kept"}}) == 6);
  CHECK(count(memory, {.tags = {"none"}}) == 0);
  CHECK(count(memory, {.function = "nothing", .tags = {"trial"}}) == 0);
  const auto tagged = memory.entries({.tags = {"kept"}}).at(0).metadata();
  CHECK(tagged.tags == std::vector<std::string>{"kept"});

  CHECK(memory.excess({.items_limit = 1}, {.tags = {"trial"}}).items == 3);
  CHECK(count(memory) == 7);
  const auto removed = memory.reduce_size({.items_limit = 1}, {.tags = {"trial"}});
  CHECK(removed.items == 3);
  CHECK(removed.bytes > 300);
  CHECK(trial.check_call_in_cache(1));  // the latest
  CHECK(memory.reduce_size({.items_limit = 0}, {.tags = {"trial"}}).items == 1);
  CHECK(count(memory) == 3);
  CHECK(memory.reduce_size({.items_limit = 0}, {.function = "*"}).items == 3);
  CHECK(count(memory) == 0);

  // They travel with the function, and a file of the entry shows them.
  dump(trial, dir / "trial");
  const auto back = hoist::load<std::remove_const_t<decltype(trial)>>(dir / "trial");
  back(3);
  const std::string file = dir / (memory.entries().at(0).name() + ".hoist");
  CHECK(hoist::load<hoist::EntryRecord<double>>(file).metadata.tags ==
        std::vector<std::string>{"trial", "night"});
}

TEST_CASE("verify finds every kind of damage") {
  const TempDir dir;
  for (const hoist::Compression& compress : {hoist::Compression(), hoist::Compression("zstd", 1)}) {
    const Memory memory(dir.path(), {.compress = compress});
    memory.clear();
    memory.cache(zeros)(300000);
    const auto entry = memory.entries().at(0);
    entry.verify();
    const std::string file = dir / (entry.name() + ".hoist");
    const std::string sound = support::slurp(file);
    int found = 0;
    int tried = 0;
    for (std::size_t at = 0; at < sound.size(); at += sound.size() / 97 + 1) {
      std::string changed = sound;
      changed[at] = static_cast<char>(changed[at] ^ 0x20);
      support::spill(file, changed);
      ++tried;
      try {
        entry.verify();
      } catch (const hoist::Error&) {
        ++found;
      }
    }
    // What pads a segment is not covered, and is not read.
    CHECK(found >= tried - 1);
    for (const std::size_t size : {std::size_t{0}, std::size_t{70}, sound.size() - 1}) {
      support::spill(file, sound.substr(0, size));
      CHECK_THROWS_AS(entry.verify(), hoist::DamagedData);
    }
    support::spill(file, sound + "x");
    CHECK_THROWS_AS(entry.verify(), hoist::DamagedData);
    hoist::dump(3.5, file);  // sound, but no entry
    CHECK_THROWS_AS(entry.verify(), hoist::DamagedData);
    CHECK_THROWS_AS((void)entry.value(), hoist::Error);
    // A damaged entry is in the list, and a function with nothing else is known by its directory.
    REQUIRE(memory.functions().size() == 1);
    CHECK(memory.functions()[0].name == "zeros");
  }
}

TEST_CASE("the name of a function is as in the source, whatever it returns") {
  const TempDir dir;
  CHECK(Memory(dir.path()).cache(listing::label_of).name() == "listing::label_of");
}

TEST_CASE("metadata has unsigned arguments as they are") {
  const TempDir dir;
  const Memory memory(dir.path());
  memory.cache(longest)(~std::uint64_t{0});
  CHECK(memory.entries().at(0).metadata().arguments == "18446744073709551615");
}

TEST_CASE("an entry that nobody here can decompress does not end a merge") {
  using hoist::detail::formats::ContainerHeader;
  const TempDir dir;
  const Memory from(dir / "from");
  for (int i = 0; i < 3; ++i) from.cache(half)(i);
  const auto path = dir / "from" / (from.entries().at(0).name() + ".hoist");
  std::string bytes = support::slurp(path);
  ContainerHeader header{};
  std::memcpy(&header, bytes.data(), sizeof header);
  std::memcpy(header.codec, "nobody's", 9);
  header.checksum = hoist::detail::base::checksum(&header, offsetof(ContainerHeader, checksum));
  std::memcpy(bytes.data(), &header, sizeof header);
  support::spill(path, bytes);
  const auto counts = Memory(dir / "to").merge(from);
  CHECK(counts.items == 2);
  CHECK(counts.damaged == 1);
}

TEST_CASE("a directory that is named like an entry is none") {
  const TempDir dir;
  const Memory memory(dir / "from");
  memory.cache(half)(1);
  std::filesystem::create_directories(dir / "from/f/v/aa/a.hoist");
  CHECK(count(memory) == 1);
  CHECK(Memory(dir / "to").merge(memory).items == 1);
  CHECK_NOTHROW(memory.clear());
}

TEST_CASE("archives that tar has made of a cache directory are read, whatever the names") {
  const TempDir dir;
  const Memory from(dir / "a cache");
  const std::string long_name(120, 'n');
  from.cache(half)(1);
  from.cache(half, {.name = long_name, .version = "1"})(2);
  for (const std::string format : {"gnu", "pax", "ustar"}) {
    for (const std::string what : {"'a cache'", "-C 'a cache' ."}) {
      const auto archive = dir / (format + std::to_string(what.size()) + ".tar.gz");
      std::string command = "cd '";
      command += dir.path().string() + "' && tar -c -z --format=" + format;
      command += " -f '" + archive.string() + "' " + what;
      REQUIRE(std::system(command.c_str()) == 0);
      const Memory to(dir / ("from " + archive.filename().string()));
      CHECK(to.import_from(archive).items == 2);
      CHECK(to.cache(half, {.name = long_name, .version = "1"}).check_call_in_cache(2));
    }
  }
}
