// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>
#include <hoist/array.hpp>
#include <hoist/dump.hpp>
#include <hoist/memory.hpp>
#include <hoist/share.hpp>

#include <atomic>
#include <filesystem>
#include <string>
#include <vector>

#include "support/bytes.hpp"
#include "support/count_runs.hpp"
#include "support/temp_dir.hpp"

using hoist::Array;
using hoist::Memory;
using hoist::MmapMode;
using support::TempDir;

namespace {

std::atomic<int> calls{0};

double total(const Array<const double>& values) {
  ++calls;
  double sum = 0;
  for (std::size_t i = 0; i < values.size(); ++i) sum += values.at(i);
  return sum;
}

int number(int x) {
  ++calls;
  return x;
}

std::vector<std::string> words(int n) {
  ++calls;
  std::vector<std::string> all;
  for (int i = 0; i < n; ++i) all.push_back("word " + std::to_string(i * i));
  return all;
}

Array<double> large(int n) {
  ++calls;
  auto values = Array<double>::uninitialized({std::size_t{3'000'000}});
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<double>(i) / n;
  return values;
}

std::vector<std::filesystem::path> entries(const std::filesystem::path& directory) {
  std::vector<std::filesystem::path> found;
  for (const auto& file : std::filesystem::recursive_directory_iterator(directory)) {
    if (file.path().extension() == ".hoist" && file.is_regular_file()) found.push_back(file.path());
  }
  return found;
}

int runs(const auto& work) { return support::growth(calls, work); }

}  // namespace

TEST_CASE("arrays count by content, wherever and however they lie") {
  const TempDir dir;
  const Memory memory(dir / "cache");
  const auto cached = memory.cache(total);
  std::vector<double> numbers, spaced;
  for (int i = 0; i < 3000; ++i) {
    numbers.push_back(i / 4.0);
    spaced.insert(spaced.end(), {i / 4.0, -1});
  }
  const auto heap = Array<double>::from_vector(numbers);
  CHECK(runs([&] { cached(heap); }) == 1);
  dump(heap, dir / "array");
  const auto mapped = hoist::load<Array<const double>>(dir / "array", {.mmap = MmapMode::read});
  const auto strided = Array<double>::from_vector(spaced).slice(0, 0, 6000, 2);
  const auto shared = hoist::share(heap.copy());
  const auto wrapped = Array<const double>::wrap(numbers.data(), {3000});
  CHECK(runs([&] {
          CHECK(cached(mapped) == cached(heap));
          CHECK(cached(strided) == cached(heap));
          CHECK(cached(*shared) == cached(heap));
          CHECK(cached(wrapped) == cached(heap));
        }) == 0);
  auto other = heap.copy();
  other[2999] += 1e-9;
  CHECK(runs([&] { cached(other); }) == 1);
}

TEST_CASE("an entry of other arguments under the same hash is not used") {
  const TempDir dir;
  const Memory memory(dir.path());
  const auto cached = memory.cache(number);
  cached(1);
  const auto one = entries(dir.path()).at(0);
  cached(2);
  for (const auto& path : entries(dir.path())) {
    if (path != one)
      std::filesystem::copy_file(one, path, std::filesystem::copy_options::overwrite_existing);
  }
  CHECK(cached.explain_miss(2).find("other arguments") != std::string::npos);
  CHECK_FALSE(cached.check_call_in_cache(2));
  CHECK(runs([&] { CHECK(cached(2) == 2); }) == 1);
  CHECK(runs([&] { CHECK(cached(2) + cached(1) == 3); }) == 0);
}

TEST_CASE("entries are compressed by any codec at any level") {
  const TempDir dir;
  for (const std::string& codec : support::codec_names) {
    for (const int level : {0, 1, 6, 9}) {
      CAPTURE(codec);
      CAPTURE(level);
      const Memory memory(dir / codec / std::to_string(level), {.compress = {codec, level}});
      const auto cached = memory.cache(words);
      CHECK(runs([&] { CHECK(cached(3000) == cached(3000)); }) == 1);
      const auto size = std::filesystem::file_size(entries(memory.location()).at(0));
      if (level > 0) CHECK(size < 3000 * 10);
    }
  }
}

TEST_CASE("metadata tell sizes, times and where from") {
  const TempDir dir;
  const Memory memory(dir.path());
  const auto [values, metadata] = memory.cache(large).call(3);
  CHECK(metadata.result_bytes >= 24'000'000);
  CHECK(metadata.result_bytes < 24'001'000);
  CHECK(metadata.arguments_bytes > 0);
  CHECK(metadata.arguments_bytes < 100);
  CHECK(metadata.function == "large");
  CHECK_FALSE(metadata.host.empty());
  const auto shelved = memory.cache(total).call_and_shelve(values);
  CHECK(shelved.metadata().arguments_bytes >= 24'000'000);
  CHECK(shelved.metadata().arguments == "array[3000000]");
  CHECK(shelved.metadata().result_bytes < 100);
}

TEST_CASE("results of many MiB, and damage in the midst of them") {
  const TempDir dir;
  const Memory memory(dir.path());
  const auto cached = memory.cache(large);
  const auto right = cached(7);
  CHECK(runs([&] { CHECK(cached(7) == right); }) == 0);
  const auto path = entries(dir.path()).at(0);
  const std::string whole = support::slurp(path);
  for (const std::size_t at : {whole.size() / 3, whole.size() / 2, whole.size() - 200}) {
    std::string changed = whole;
    changed[at] = static_cast<char>(changed[at] ^ 1);
    support::spill(path, changed);
    CHECK(runs([&] { CHECK(cached(7) == right); }) == 1);
    support::spill(path, whole.substr(0, at));
    CHECK(runs([&] { CHECK(cached(7) == right); }) == 1);
  }
  const auto shelved = cached.call_and_shelve(7);
  CHECK(shelved.get() == right);
}

TEST_CASE("a shelved result comes back as its function's results do") {
  const TempDir dir;
  const Memory memory(dir.path(), {.mmap_mode = MmapMode::read});
  // Its elements can be modified, so it is read instead of mapped.
  auto read = memory.cache(large, {.mmap_mode = MmapMode::none}).call_and_shelve(2).get();
  read[0] = 5;
  auto copied = memory.cache(large, {.mmap_mode = MmapMode::copy_on_write});
  auto mapped = copied.call_and_shelve(2).get();
  mapped[0] = 6;
  CHECK(copied(2)[0] == 0);
  CHECK_THROWS_AS(memory.cache(large, {.mmap_mode = MmapMode::read_write}), hoist::BadArgument);
  CHECK_THROWS_AS(Memory(dir.path(), {.mmap_mode = MmapMode::read_write}), hoist::BadArgument);
}

TEST_CASE("a validation callback that throws keeps no call from its result") {
  const TempDir dir;
  const Memory memory(dir.path());
  const auto cached = memory.cache(number, {.validate = [](const hoist::EntryMetadata&) -> bool {
                                     throw std::range_error("no");
                                   }});
  CHECK(runs([&] { CHECK(cached(4) + cached(4) == 8); }) == 2);
}
