// SPDX-License-Identifier: BSD-3-Clause
//
// Files as arguments, and cached functions without their type.
#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>
#include <hoist/cached_fn.hpp>
#include <hoist/dump.hpp>
#include <hoist/error.hpp>
#include <hoist/file_content.hpp>
#include <hoist/hash.hpp>
#include <hoist/memory.hpp>
#include <hoist/parallel.hpp>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "support/count_runs.hpp"
#include "support/temp_dir.hpp"

using hoist::CachedFn;
using hoist::FileContent;
using hoist::Memory;
using support::TempDir;

namespace {

int calls = 0;

void write(const std::filesystem::path& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

/// So long ago that its digest is remembered.
void make_old(const std::filesystem::path& path) {
  std::filesystem::last_write_time(path,
                                   std::filesystem::last_write_time(path) - std::chrono::hours(1));
}

std::string content_of(FileContent file) {
  ++calls;
  std::ifstream in(file.path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

double half(int x) {
  ++calls;
  return x / 2.0;
}

int runs(const auto& work) { return support::growth(calls, work); }

}  // namespace

TEST_CASE("a file counts by its content, not by its name") {
  TempDir dir;
  const Memory memory(dir / "cache");
  const auto cached = memory.cache(content_of);
  write(dir / "a", "one");
  write(dir / "b", "one");
  CHECK(runs([&] { CHECK(cached({dir / "a"}) == "one"); }) == 1);
  CHECK(runs([&] { CHECK(cached({dir / "b"}) == "one"); }) == 0);
  // Of the same size, and so soon that the file's times may be the same.
  write(dir / "a", "two");
  CHECK(runs([&] { CHECK(cached({dir / "a"}) == "two"); }) == 1);
  CHECK(runs([&] { CHECK(cached({dir / "b"}) == "one"); }) == 0);
  std::filesystem::create_symlink(dir / "a", dir / "link");
  CHECK(runs([&] { CHECK(cached({dir / "link"}) == "two"); }) == 0);
  std::filesystem::rename(dir / "b", dir / "a");
  CHECK(runs([&] { CHECK(cached({dir / "a"}) == "one"); }) == 0);
}

TEST_CASE("a content that was hashed is remembered until the file changes") {
  TempDir dir;
  const std::string large((std::size_t{3} << 20) + 5, 'x');
  write(dir / "f", large);
  make_old(dir / "f");
  const FileContent file{dir / "f"};
  const hoist::Digest digest = file.digest();
  CHECK(file.digest() == digest);
  CHECK(hoist::hash(file) == hoist::hash(FileContent{dir / "f"}));
  // Its change gives the file another ctime, though size and mtime are as before.
  const auto when = std::filesystem::last_write_time(dir / "f");
  std::string other = large;
  other.back() = 'y';
  write(dir / "f", other);
  std::filesystem::last_write_time(dir / "f", when);
  CHECK(file.digest() != digest);
  write(dir / "f", large);
  CHECK(file.digest() == digest);
  write(dir / "empty", "");
  CHECK(FileContent{dir / "empty"}.digest() != digest);
}

TEST_CASE("what is no readable file is an error at the call") {
  TempDir dir;
  const Memory memory(dir / "cache");
  const auto cached = memory.cache(content_of);
  CHECK_THROWS_AS(cached({dir / "absent"}), hoist::NotFound);
  CHECK_THROWS_AS(cached({dir.path()}), hoist::BadArgument);
  REQUIRE(::mkfifo((dir / "pipe").c_str(), 0600) == 0);
  CHECK_THROWS_AS(cached({dir / "pipe"}), hoist::BadArgument);
}

TEST_CASE("a file as a value is its path, for workers too") {
  TempDir dir;
  write(dir / "a", "content");
  hoist::dump(FileContent{dir / "a"}, dir / "value");
  CHECK(hoist::load<FileContent>(dir / "value") == FileContent{dir / "a"});
  const std::vector<FileContent> files(3, {dir / "a"});
  const auto texts = hoist::Parallel({.n_jobs = 2, .backend = "fork"}).map(files, content_of);
  CHECK(texts == std::vector<std::string>(3, "content"));
}

TEST_CASE("CachedFn holds cached functions of any callable") {
  TempDir dir;
  const Memory memory(dir / "cache");
  std::map<std::string, CachedFn<double(int)>> functions;
  functions.emplace("half", memory.cache(half));
  functions.emplace("plus",
                    memory.cache([offset = 7](const int& x) -> double { return x + offset; }));
  CHECK(functions.at("plus")(1) == 8);
  const CachedFn<double(int)>& f = functions.at("half");
  CHECK_FALSE(f.check_call_in_cache(5));
  CHECK(f.explain_miss(5).size() > 10);
  CHECK(runs([&] { CHECK(f(5) == 2.5); }) == 1);
  CHECK(runs([&] { CHECK(f(5) == 2.5); }) == 0);
  CHECK(f.check_call_in_cache(5));
  CHECK(f.call_and_shelve(5).get() == 2.5);
  CHECK(runs([&] { CHECK(f.call(5).value == 2.5); }) == 1);
  CHECK(f.name().find("half") != std::string::npos);
  const CachedFn<double(int)> copy = f;
  copy.clear();
  CHECK_FALSE(f.check_call_in_cache(5));

  const CachedFn<void(int)> nothing = memory.cache([](int) { ++calls; });
  CHECK(runs([&] { nothing(1); }) == 1);
  static_assert(!std::is_constructible_v<CachedFn<int(int)>, decltype(memory.cache(half))>);
  static_assert(
      !std::is_constructible_v<CachedFn<double(std::string)>, decltype(memory.cache(half))>);
}
