// SPDX-License-Identifier: BSD-3-Clause
// ctest-timeout: 600
#include <sys/resource.h>
#include <sys/stat.h>

#include <doctest/doctest.h>
#include <hoist/array.hpp>
#include <hoist/dump.hpp>
#include <hoist/error.hpp>
#include <hoist/value.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <csignal>
#include <cstdint>
#include <deque>
#include <fstream>
#include <initializer_list>
#include <map>
#include <string>
#include <thread>
#include <valarray>
#include <vector>

#include "interop/peak_values.hpp"
#include "support/extended.hpp"
#include "support/peak_memory.hpp"
#include "support/sanitized.hpp"
#include "support/temp_dir.hpp"

using hoist::dump;
using hoist::load;
using support::TempDir;
using namespace interop;

// These became a tree of Values, up to twelve times their size.
TEST_CASE("many small parts are not in memory twice while they are loaded") {
  if (support::sanitized) return;
  constexpr std::size_t parts = 300000;
  const TempDir dir;
  const auto check = [&](const auto& value, std::size_t bytes) {
    using T = std::decay_t<decltype(value)>;
    for (const char* name : names({"v.joblib", "v.hoist", "v.joblib.gz", "v.hoist.zst"}, 2)) {
      CAPTURE(name);
      dump(value, dir / name);
      const auto load_from = [&](auto&& from) {
        const T loaded = load<T>(from);
        if (loaded != value) throw 0;
      };
      // Unless the source is a plain file, all but large arrays is kept for the second pass.
      const bool plain = std::string_view(name).find_last_of('.') == 1;
      CHECK(support::peak_growth([&] { load_from(dir / name); }) <
            bytes + (plain ? very_little : little));
      if (!support::extended && name != std::string_view("v.joblib")) continue;
      CHECK(support::peak_growth([&] { load_from(std::ifstream(dir / name, std::ios::binary)); }) <
            bytes + little);
    }
  };
  std::vector<std::string> texts;
  std::vector<Point> points;
  std::map<std::string, std::pair<int, std::string>> pairs;
  std::vector<Numbers> rows;
  for (std::size_t i = 0; i < parts; ++i) {
    const std::string name = "number " + std::to_string(i);
    texts.push_back(name);
    points.push_back({static_cast<double>(i), 0.5, name, {name, "same"}});
    pairs.try_emplace(name, static_cast<int>(i), name);
    if (i % 4 == 0) rows.emplace_back(100, static_cast<double>(i));
  }
  // Includes the overhead of malloc and of a map's nodes, since the texts are short.
  const std::size_t texts_bytes = parts * sizeof(std::string);
  const std::size_t points_bytes = parts * (sizeof(Point) + 2 * sizeof(std::string) + 16);
  const std::size_t pairs_bytes = parts * (32 + sizeof(std::string) + 40 + 16);
  if (support::extended) {
    check(texts, texts_bytes);
    check(points, points_bytes);
    check(pairs, pairs_bytes);
  }
  check(rows, rows.size() * (sizeof(Numbers) + 816));
  check(Many{texts, pairs, points}, texts_bytes + points_bytes + pairs_bytes);
  // All memory is reserved at once, because the size of the file justifies the count.
  check(std::vector<std::string>(2000000, "text"), 2000000 * sizeof(std::string));
}

// Converted elements had been in memory twice.
TEST_CASE("elements that are laid out anew are not in memory twice while they are loaded") {
  const TempDir dir;
  const std::size_t n = support::sanitized ? 10000 : large / 16;
  const auto header = [](std::string text) {
    text.resize(118, ' ');
    return "\x93NUMPY\1" + std::string("\0\x76\0", 3) + text.substr(0, 117) + "\n";
  };
  // NumPy's structures have no padding by default.
  std::vector<Padded> padded(n);
  std::string packed =
      header("{'descr': [('code', '|i1'), ('number', '<f8')], 'fortran_order': False, 'shape': (" +
             std::to_string(n) + ",), }");
  for (std::size_t i = 0; i < n; ++i) {
    padded[i] = {static_cast<std::int8_t>(i), static_cast<double>(i)};
    packed += static_cast<char>(padded[i].code);
    packed.append(reinterpret_cast<const char*>(&padded[i].number), sizeof(double));
  }
  support::spill(dir / "packed.npy", packed);
  // Rows of an array become vectors.
  const std::vector<Numbers> rows(n / 500, Numbers(1000, 1.5));
  hoist::Array<double> table({rows.size(), 1000});
  std::fill_n(table.data(), table.size(), 1.5);
  dump(table, dir / "table.npy");
  dump(table, dir / "table.joblib");
  if (support::sanitized) {
    CHECK((load<std::vector<Padded>>(dir / "packed.npy") == padded));
    CHECK((load<std::vector<Numbers>>(dir / "table.npy") == rows));
    return;
  }
  check_load(padded, dir / "packed.npy", large, very_little);
  check_load(rows, dir / "table.npy", large);
  check_load(rows, dir / "table.joblib", large);
  // Sequences other than vectors.
  const std::deque<std::string> texts(1000000, "text");
  dump(texts, dir / "texts.hoist");
  check_load(texts, dir / "texts.hoist", texts.size() * sizeof(std::string), very_little);
}

TEST_CASE("rows of an array in Fortran order are rows") {
  const TempDir dir;
  hoist::Array<double> table({2, 3}, hoist::Order::fortran);
  std::vector<Numbers> rows(2, Numbers(3));
  for (std::size_t i = 0; i < 2; ++i) {
    for (std::size_t k = 0; k < 3; ++k) {
      table(i, k) = rows[i][k] = static_cast<double>(10 * i + k);
    }
  }
  dump(table, dir / "table.npy");
  CHECK((load<std::vector<Numbers>>(dir / "table.npy") == rows));
  CHECK((load<std::vector<std::array<double, 3>>>(dir / "table.npy")[1][2] == 12));
  CHECK((load<std::pair<Numbers, Numbers>>(dir / "table.npy") == std::pair(rows[0], rows[1])));
  CHECK((load<std::array<Numbers, 2>>(dir / "table.npy")[1] == rows[1]));
}

TEST_CASE("numbers of an array become others one by one") {
  const TempDir dir;
  for (const std::size_t n : {10u, 10000u, 400000u}) {
    hoist::Array<std::int64_t> whole({n});
    Numbers wanted(n);
    for (std::size_t i = 0; i < n; ++i)
      wanted[i] = static_cast<double>(whole[i] = 3 * static_cast<long>(i));
    for (const char* name : {"n.npy", "n.joblib", "n.joblib.gz"}) {
      dump(whole, dir / name);
      CHECK((load<Numbers>(dir / name) == wanted));
      CHECK((load<std::deque<double>>(dir / name) == std::deque(wanted.begin(), wanted.end())));
    }
  }
}
