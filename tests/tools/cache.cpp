// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>
#include <hoist/array.hpp>
#include <hoist/memory.hpp>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "support/json.hpp"
#include "support/run_tool.hpp"
#include "support/temp_dir.hpp"

using namespace hoist;
using support::has;
using support::run_tool;
using support::TempDir;

namespace {

double half_of(int x) { return x / 2.0; }
Array<double> ramp(int n) {
  auto values = Array<double>({static_cast<std::size_t>(n)});
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<double>(i);
  return values;
}

/// Seven entries of two functions, one of them in two versions.
void fill(const std::string& location) {
  const Memory memory(location);
  const auto halves = memory.cache(half_of, {.name = "half_of", .version = "1", .tags = {"trial"}});
  for (int i = 0; i < 4; ++i) halves(i);
  halves(3);
  memory.cache(half_of, {.name = "half_of", .version = "2"})(1);
  const auto ramps = memory.cache(ramp, {.name = "ramp", .version = "1"});
  ramps(10);
  ramps(200000);
}

/// A file of an entry of `ramp(200000)`.
std::string large_entry(const std::string& location) {
  std::string found;
  std::uintmax_t most = 0;
  for (const auto& file : std::filesystem::recursive_directory_iterator(location)) {
    if (!file.is_regular_file() || file.path().extension() != ".hoist") continue;
    if (file.file_size() > most) {
      most = file.file_size();
      found = file.path();
    }
  }
  return found;
}

}  // namespace

TEST_CASE("hoist cache ls lists functions and entries, and leaves no trace") {
  if (!support::has_tool()) return;
  const TempDir dir;
  const std::string cache = dir / "cache";
  fill(cache);
  const auto listed = run_tool("cache ls " + cache);
  CHECK(listed.code == 0);
  CHECK(listed.error.empty());
  CHECK(has(listed.out, "7 entries of 2 functions"));
  CHECK(has(listed.out, "half_of          2        5"));
  CHECK(has(listed.out, "ramp             1        2"));
  CHECK_FALSE(has(listed.out, "\x1b"));
  // By HOIST_CACHE, and from the directory that the cache is in.
  CHECK(run_tool("cache ls", "HOIST_CACHE=" + cache).out == listed.out);
  CHECK(has(run_tool("cache ls", "cd " + dir.path().string() + ";").out, "7 entries"));
  const auto by_size = run_tool("cache ls --sort size " + cache).out;
  CHECK(by_size.find("ramp") < by_size.find("half_of"));
  const auto one = run_tool("cache ls --json --function 'half*' " + cache);
  CHECK_NOTHROW(support::Json::parse(one.out));
  CHECK(has(one.out, "\"items\":5"));
  CHECK(has(one.out, "\"hits\":1"));
  CHECK_FALSE(has(one.out, "ramp"));
  const auto entries = run_tool("cache ls --entries " + cache);
  CHECK(std::ranges::count(entries.out, '\n') == 7);
  CHECK(has(entries.out, "ramp(200000)"));
  const auto tagged = run_tool("cache ls --entries --json --tag trial " + cache);
  CHECK(std::ranges::count(tagged.out, '\n') == 4);
  CHECK_NOTHROW(support::Json::parse(tagged.out.substr(0, tagged.out.find('\n'))));
  CHECK(has(run_tool("cache stats " + cache).out, "7 entries"));
  CHECK_NOTHROW(support::Json::parse(run_tool("cache stats --json " + cache).out));
  // None of this was a use.
  CHECK(has(run_tool("cache ls --json " + cache).out, "\"hits\":1,"));

  const auto nowhere = run_tool("cache ls " + (dir / "nowhere").string());
  CHECK(nowhere.code == 2);
  CHECK(has(nowhere.error, "nowhere"));
  CHECK(nowhere.out.empty());
  CHECK(run_tool("cache ls", "cd " + (dir / "cache/.hoist").string() + ";").code == 2);
}

TEST_CASE("hoist cache show and explain tell about entries and versions") {
  if (!support::has_tool()) return;
  const TempDir dir;
  const std::string cache = dir / "cache";
  fill(cache);
  const std::string file = large_entry(cache);
  const std::string hash = std::filesystem::path(file).stem();
  for (const std::string& name : {file, hash, hash.substr(0, 10)}) {
    const auto shown = run_tool("cache show " + name + " " + cache);
    CHECK(shown.code == 0);
    CHECK(has(shown.out, "ramp(200000)"));
    CHECK(has(shown.out, "array of float64, 200,000"));
    CHECK(has(shown.out, "max 199999"));
  }
  const auto as_json = run_tool("cache show --json " + hash + " " + cache);
  CHECK_NOTHROW(support::Json::parse(as_json.out));
  CHECK(has(as_json.out, "\"shape\":[200000]"));
  CHECK(run_tool("cache show 0123456789abcdef0123456789abcdef " + cache).code == 2);
  CHECK(has(run_tool("cache show '' " + cache).error, "several"));
  const auto explained = run_tool("cache explain 'half*' " + cache);
  CHECK(has(explained.out, "2 versions"));
  CHECK(has(explained.out, "4 entries, computed from"));
  CHECK_NOTHROW(support::Json::parse(run_tool("cache explain --json half_of " + cache).out));
  CHECK(run_tool("cache explain other " + cache).code == 2);
}

TEST_CASE("hoist cache prune and clear remove what they say") {
  if (!support::has_tool()) return;
  const TempDir dir;
  const std::string cache = dir / "cache";
  fill(cache);
  const Memory memory(cache);
  CHECK(run_tool("cache prune " + cache).code == 2);
  CHECK(run_tool("cache prune --age soon " + cache).code == 2);
  CHECK(run_tool("cache prune --age nan " + cache).code == 2);
  CHECK(run_tool("cache prune --bytes many " + cache).code == 2);
  CHECK(run_tool("cache prune --items 5x " + cache).code == 2);
  for (const std::string limit : {"--age", "--items", "--bytes"}) {
    CHECK(run_tool("cache prune --tag trial " + limit + " '' " + cache).code == 2);
  }
  CHECK(run_tool("cache prune --function '' --items 0 " + cache).code == 2);
  CHECK(has(run_tool("cache prune --age 1h " + cache).out, "removed 0 entries"));
  CHECK(has(run_tool("cache prune -n --tag trial " + cache).out, "would remove 4 entries"));
  CHECK(memory.entries().size() == 7);
  CHECK(has(run_tool("cache prune --tag trial " + cache).out, "removed 4 entries"));
  CHECK(has(run_tool("cache prune --items 1 " + cache).out, "removed 2 entries"));
  CHECK(memory.entries().size() == 1);
  CHECK(has(run_tool("cache prune --json --bytes 1M " + cache).out, "\"items\":1"));
  CHECK(memory.entries().empty());
  fill(cache);
  // Without --yes it only looks.
  const auto uses = dir / "cache/.hoist/uses";
  const auto before = std::filesystem::last_write_time(uses) - std::chrono::hours(1);
  std::filesystem::last_write_time(uses, before);
  CHECK(run_tool("cache clear " + cache).code == 2);
  CHECK(std::filesystem::last_write_time(uses) == before);
  CHECK(memory.entries().size() == 7);
  CHECK(has(run_tool("cache clear --yes " + cache).out, "removed 7 entries"));
  CHECK(memory.entries().empty());
}

TEST_CASE("hoist cache verify names damaged entries, and --repair removes them") {
  if (!support::has_tool()) return;
  const TempDir dir;
  const std::string cache = dir / "cache";
  fill(cache);
  const auto sound = run_tool("cache verify " + cache);
  CHECK(sound.code == 0);
  CHECK(has(sound.out, "7 entries read"));
  CHECK(has(sound.out, "all sound"));
  const std::string file = large_entry(cache);
  std::string content = support::slurp(file);
  content[content.size() / 2] = static_cast<char>(content[content.size() / 2] ^ 1);
  support::spill(file, content);
  const auto damaged = run_tool("cache verify -j 2 " + cache);
  CHECK(damaged.code == 1);
  CHECK(has(damaged.out, std::filesystem::path(file).stem()));
  CHECK(has(damaged.out, "1 damaged"));
  const auto as_json = run_tool("cache verify --json " + cache);
  CHECK(as_json.code == 1);
  CHECK_NOTHROW(support::Json::parse(as_json.out));
  CHECK(std::filesystem::exists(file));
  const auto repaired = run_tool("cache verify --repair " + cache);
  CHECK(repaired.code == 0);
  CHECK(has(repaired.out, "1 removed"));
  CHECK_FALSE(std::filesystem::exists(file));
  CHECK(run_tool("cache verify " + cache).code == 0);
}

TEST_CASE("caches are joined, and travel as archives that tar reads") {
  if (!support::has_tool()) return;
  const TempDir dir;
  const std::string cache = dir / "cache";
  fill(cache);
  const std::string joined = dir / "joined";
  CHECK(has(run_tool("cache merge --tag trial " + cache + " " + joined).out, "4 entries copied"));
  CHECK(has(run_tool("cache merge " + cache + " " + joined).out, "3 entries copied"));
  const auto again = run_tool("cache merge --json " + cache + " " + joined);
  CHECK(has(again.out, "\"present\":7"));
  const Memory memory(joined);
  CHECK(memory.cache(half_of, {.name = "half_of", .version = "1"})(3) == 1.5);
  CHECK(memory.stats().hits == 1);

  for (const char* name : {"all.tar", "all.tar.zst", "all.tar.gz"}) {
    CAPTURE(name);
    const std::string archive = dir / name;
    CHECK(has(run_tool("cache export " + archive + " " + cache).out, "7 entries copied"));
    const std::string imported = dir / (std::string(name) + ".cache");
    CHECK(has(run_tool("cache import " + archive + " " + imported).out, "7 entries copied"));
    CHECK(run_tool("cache verify " + imported).code == 0);
    CHECK(has(run_tool("cache import " + archive + " " + imported).out, "7 were there already"));
  }
  // tar unpacks a cache, and packs one that import reads.
  const std::string unpacked = dir / "unpacked";
  std::filesystem::create_directory(unpacked);
  REQUIRE(std::system(("tar -C " + unpacked + " -xf " + (dir / "all.tar").string()).c_str()) == 0);
  CHECK(Memory(unpacked).cache(ramp, {.name = "ramp", .version = "1"})(10).size() == 10);
  CHECK(Memory(unpacked).entries().size() == 7);
  REQUIRE(std::system(("cd " + cache + " && tar -cf ../packed.tar .").c_str()) == 0);
  CHECK(
      has(run_tool("cache import " + (dir / "packed.tar").string() + " " + (dir / "third").string())
              .out,
          "7 entries copied"));
}

TEST_CASE("an archive can't do more than add sound entries") {
  if (!support::has_tool()) return;
  const TempDir dir;
  const std::string cache = dir / "cache";
  fill(cache);
  const std::string archive = dir / "all.tar";
  REQUIRE(run_tool("cache export " + archive + " " + cache).code == 0);
  const std::string sound = support::slurp(archive);
  const std::string target = dir / "target";
  // Cut or changed anywhere, it is an error or a damaged entry, never an unsound one.
  for (std::size_t size = 0; size < sound.size(); size += sound.size() / 12 + 1) {
    support::spill(archive, sound.substr(0, size));
    CHECK(run_tool("cache import " + archive + " " + target).code == 1);
  }
  std::filesystem::remove_all(target);
  for (std::size_t at = 0; at < sound.size(); at += sound.size() / 24 + 1) {
    std::string changed = sound;
    changed[at] = static_cast<char>(changed[at] ^ 0x11);
    support::spill(archive, changed);
    run_tool("cache import " + archive + " " + target);
  }
  CHECK(run_tool("cache verify " + target).code == 0);
  // Names that lead elsewhere, and what is no entry.
  std::filesystem::create_directories(dir / "evil/a/b/c");
  support::spill(dir / "evil/a/b/c/x.hoist", "no entry");
  std::filesystem::copy(large_entry(cache), dir / "evil/out.hoist");
  REQUIRE(
      std::system(("cd " + (dir / "evil").string() +
                   " && tar -P --transform 's,^out,../../../out,' -cf ../evil.tar out.hoist a && "
                   "ln -s /etc link && tar -rf ../evil.tar link")
                      .c_str()) == 0);
  const auto evil = run_tool("cache import " + (dir / "evil.tar").string() + " " +
                             (dir / "deep/er/cache").string());
  CHECK(evil.code == 1);
  CHECK(has(evil.out, "0 entries copied"));
  CHECK(has(evil.out, "1 are damaged"));
  CHECK_FALSE(std::filesystem::exists(dir / "out.hoist"));
  CHECK_FALSE(std::filesystem::exists(dir / "deep/out.hoist"));
}
