// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <hoist/open_array.hpp>

#include "support/temp_dir.hpp"

using hoist::Array;
using hoist::MmapMode;
using hoist::open_array;
using support::TempDir;

TEST_CASE("an array on disk is filled by several processes") {
  const TempDir dir;
  const auto path = dir / "results.npy";
  for (int worker = 0; worker < 4; ++worker) {
    if (::fork() == 0) {
      auto results = open_array<double>(path, {4, 1000});
      for (std::size_t i = 0; i < 1000; ++i) results(worker, i) = worker + 1;
      ::_exit(0);
    }
  }
  for (int worker = 0; worker < 4; ++worker) {
    int status = -1;
    ::wait(&status);
    CHECK(status == 0);
  }
  const auto results = hoist::load<Array<double>>(path);
  for (std::size_t w = 0; w < 4; ++w) {
    CHECK(results(w, 0) == static_cast<double>(w + 1));
    CHECK(results(w, 999) == static_cast<double>(w + 1));
  }
  CHECK(support::count_entries(dir.path()) == 1);
}

TEST_CASE("arrays on disk in each mode") {
  const TempDir dir;
  const auto path = dir / "a";
  CHECK_THROWS_AS(open_array<const float>(path, {10}, MmapMode::read), hoist::NotFound);
  auto first = open_array<float>(path, {1 << 20, 64}, MmapMode::write, hoist::Order::fortran);
  struct stat status{};
  REQUIRE(::stat(path.c_str(), &status) == 0);
  CHECK(status.st_size > (64 << 20));
  CHECK(status.st_blocks * 512 < (1 << 20));  // room is taken as it is filled
  first(5, 6) = 7;
  CHECK(first.order() == hoist::Order::fortran);
  CHECK(open_array<const float>(path, {1 << 20, 64}, MmapMode::read)(5, 6) == 7);
  auto own = open_array<float>(path, {1 << 20, 64}, MmapMode::copy_on_write);
  own(5, 6) = 8;
  CHECK(open_array<float>(path, {1 << 20, 64})(5, 6) == 7);
  CHECK_THROWS_WITH_AS(open_array<float>(path, {64}), doctest::Contains("(1048576, 64), not (64)"),
                       hoist::WrongType);
  CHECK_THROWS_AS(open_array<double>(path, {1 << 20, 64}), hoist::WrongType);
  auto second = open_array<float>(path, {3}, MmapMode::write);
  CHECK(second(0) == 0);
  CHECK(first(5, 6) == 7);  // the file it maps has lost its name only
}

TEST_CASE("an array on disk in a hoist container") {
  const TempDir dir;
  const auto path = dir / "a.hoist";
  auto array = open_array<float>(path, {1 << 20, 64}, MmapMode::read_write, hoist::Order::fortran);
  struct stat status{};
  REQUIRE(::stat(path.c_str(), &status) == 0);
  CHECK(status.st_size > (256 << 20));
  CHECK(status.st_blocks * 512 < (1 << 20));
  CHECK(support::slurp_some(path, 6) == "\x89HOIST");
  CHECK(reinterpret_cast<std::uintptr_t>(array.data()) % 64 == 0);
  array(5, 6) = 7;
  CHECK(open_array<float>(path, {1 << 20, 64})(5, 6) == 7);
  CHECK(hoist::load<Array<const float>>(path, {.mmap = MmapMode::read})(5, 6) == 7);
  CHECK_THROWS_AS(open_array<double>(path, {1 << 20, 64}), hoist::WrongType);
  CHECK_THROWS_AS(open_array<float>(path, {64}), hoist::WrongType);

  auto small = open_array<std::int16_t>(path, {10}, MmapMode::write);
  small(3) = 9;
  CHECK(hoist::load<Array<std::int16_t>>(path)(3) == 9);
  CHECK(open_array<std::int16_t>(dir / "none.hoist", {0, 3}).shape() == hoist::Shape{0, 3});
  CHECK_THROWS_AS(open_array<const float>(dir / "b.hoist", {2}, MmapMode::read), hoist::NotFound);
  CHECK_THROWS_AS(open_array<float>(dir / "b.hoist", {2}, MmapMode::copy_on_write),
                  hoist::NotFound);
}

TEST_CASE("a path that can't be looked up is an error of hoist") {
  const TempDir dir;
  CHECK_THROWS_AS(open_array<double>(dir / std::string(5000, 'a'), {3}), hoist::Error);
}

TEST_CASE("a .npy file in Fortran order of std::arrays is refused before it is made") {
  const TempDir dir;
  using Triple = std::array<float, 3>;
  const auto make = [&](const char* name) {
    return open_array<Triple>(dir / name, {2, 4}, MmapMode::write, hoist::Order::fortran);
  };
  CHECK_THROWS_AS(make("a.npy"), hoist::BadArgument);
  CHECK(support::count_entries(dir.path()) == 0);
  CHECK(make("a.hoist").size() == 8);
}
