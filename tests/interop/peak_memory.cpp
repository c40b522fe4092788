// SPDX-License-Identifier: BSD-3-Clause
// ctest-timeout: 1200
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

#include "support/extended.hpp"
#include "support/peak_memory.hpp"
#include "support/sanitized.hpp"
#include "support/temp_dir.hpp"

using hoist::dump;
using hoist::load;
using hoist::Value;
using support::TempDir;

// A load needs little memory beside its result, and a dump needs little memory, also in foreign
// formats, where values pass through a Value.

namespace {

constexpr std::size_t mib = std::size_t{1} << 20;
constexpr std::size_t large = 64 * mib;
constexpr std::size_t little = 48 * mib;  // with the blocks of the threads that compress
constexpr std::size_t very_little = 16 * mib;

using Numbers = std::vector<double>;

struct Both {
  Numbers numbers;
  std::string text;
  bool operator==(const Both&) const = default;
};

struct Padded {
  std::int8_t code = 0;
  double number = 0;
  bool operator==(const Padded&) const = default;
};

struct Point {
  double x = 0;
  double y = 0;
  std::string name;
  std::vector<std::string> tags;
  bool operator==(const Point&) const = default;
};

struct Many {
  std::vector<std::string> texts;
  std::map<std::string, std::pair<int, std::string>> pairs;
  std::vector<Point> points;
  bool operator==(const Many&) const = default;
};

/// Of these file names the first `usual`, and in the extended run all.
std::vector<const char*> names(std::initializer_list<const char*> all, std::size_t usual) {
  return {all.begin(), support::extended ? all.end() : all.begin() + usual};
}

Numbers numbers() {
  Numbers all(large / sizeof(double));
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<double>(i % 1000);
  return all;
}

std::string text() {
  std::string all(large, 'x');
  for (std::size_t i = 0; i < all.size(); i += 7) all[i] = 'y';
  return all;
}

template <class T>
void check_dump(const T& value, const std::filesystem::path& path,
                const hoist::DumpOptions& options = {}) {
  CAPTURE(path);
  CHECK(support::peak_growth([&] { dump(value, path, options); }) < little);
}

/// Loads a value of `bytes` bytes.
template <class T>
void check_load(const T& value, const std::filesystem::path& path, std::size_t bytes,
                std::size_t allowed = little) {
  CAPTURE(path);
  CHECK(support::peak_growth([&] {
          if (load<T>(path) != value) throw 0;
        }) < bytes + allowed);
}

}  // namespace

TEST_CASE("vectors and texts are not in memory twice while they are dumped or loaded") {
  if (support::sanitized) return;
  const TempDir dir;
  const Numbers vector = numbers();
  for (const char* name : names({"v.npy", "v.joblib", "v.npz", "v.pkl.gz"}, 2)) {
    check_dump(vector, dir / name);
    check_load(vector, dir / name, large);
  }
  if (support::extended) {
    check_dump(vector, dir / "deflated.npz", {.compress = 1});
    check_load(vector, dir / "deflated.npz", large);
  }
  const std::map<std::string, Numbers> map{{"a", vector}};
  for (const char* name : names({"m.npz", "m.joblib"}, 1)) {
    check_dump(map, dir / name);
    check_load(map, dir / name, large);
  }
  const Both both{vector, text()};
  for (const char* name : names({"b.pkl.lz4", "b.joblib"}, 1)) {
    check_dump(both, dir / name);
    check_load(both, dir / name, 2 * large);
  }
  check_dump(both.text, dir / "t.joblib");
  check_load(both.text, dir / "t.joblib", large);
  const Value bytes = Value::bytes(both.text);
  const auto of_bytes = names({"b.npy", "b.npz", "b.pkl"}, 1);
  for (const char* name : of_bytes) check_dump(bytes, dir / name);
  for (const char* name : names({"t.npz", "t.npy", "t.npz.gz"}, 1)) {
    check_dump(both.text, dir / name);
    check_load(both.text, dir / name, large);
  }
  for (const char* name : of_bytes) check_load(both.text, dir / name, large);
  if (support::extended) {
    check_dump(both, dir / "both.npz");
    check_load(both, dir / "both.npz", 2 * large);
  }
}

// These became a tree of Values, several times their size.
TEST_CASE("many small parts are not in memory twice while they are dumped") {
  if (support::sanitized) return;
  const TempDir dir;
  std::vector<std::string> texts;
  std::map<std::string, Numbers> rows;
  for (int i = 0; i < 500000; ++i)
    texts.push_back("text of some length, number " + std::to_string(i));
  for (int i = 0; i < 50000; ++i) rows.emplace("row " + std::to_string(i), Numbers(100, i));
  const std::vector<Both> both(10000, {Numbers(300, 1.5), std::string(1000, 'x')});
  for (const char* name : names({"v.joblib", "v.pkl.gz"}, 1)) {
    check_dump(texts, dir / name);
    CHECK((load<std::vector<std::string>>(dir / name) == texts));
    check_dump(rows, dir / name);
    CHECK((load<std::map<std::string, Numbers>>(dir / name) == rows));
    check_dump(both, dir / name);
    CHECK((load<std::vector<Both>>(dir / name) == both));
  }
  // Parts are released as the result grows: nothing large is in memory twice.
  const std::vector<Numbers> large_parts(8, Numbers(large / 8 / sizeof(double), 2.5));
  for (const char* name : names({"l.joblib", "l.pkl.gz"}, 1)) {
    check_dump(large_parts, dir / name);
    check_load(large_parts, dir / name, large);
  }
  // Elements in the other byte order are converted in place.
  const Numbers vector = numbers();
  Numbers turned = vector;
  for (double& number : turned) {
    number = std::bit_cast<double>(__builtin_bswap64(std::bit_cast<std::uint64_t>(number)));
  }
  for (const char* name : names({"swapped.joblib", "swapped.npy"}, 1)) {
    dump(turned, dir / name);
    {
      std::fstream file(dir / name, std::ios::in | std::ios::out | std::ios::binary);
      std::string head(512, '\0');
      file.read(head.data(), static_cast<std::streamsize>(head.size()));
      // In a pickle the byte order is a text of its own.
      std::size_t at = head.find("'<f8'");
      if (at == std::string::npos) at = head.find("\x8C\1<") + 1;
      REQUIRE(at < head.size());
      file.seekp(static_cast<std::streamoff>(at + 1)).put('>');
    }
    check_load(vector, dir / name, large);
  }
  const std::valarray<double> valarray(1.5, large / sizeof(double));
  check_dump(valarray, dir / "v.hoist");
  check_dump(valarray, dir / "v.npy");
}

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
  for (const std::size_t n : {10, 10000, 400000}) {
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

// Their directory is at the end, so they had been kept in memory completely.
TEST_CASE("archives that come out of streams are not in memory") {
  if (support::sanitized) return;
  const TempDir dir;
  const Numbers vector = numbers();
  for (const char* name : names({"v.npz.gz", "v.npz", "v.npz.zst"}, 2)) {
    CAPTURE(name);
    check_dump(vector, dir / name);
    check_load(vector, dir / name, large);
    CHECK(support::peak_growth([&] {
            std::ifstream in(dir / name, std::ios::binary);
            if (load<Numbers>(in) != vector) throw 0;
          }) < large + little);
  }
  ::mkfifo((dir / "fifo.npz").c_str(), 0600);
  CHECK(support::peak_growth([&] {
          std::jthread reader([&] {
            std::ifstream in(dir / "fifo.npz", std::ios::binary);
            in.ignore(static_cast<std::streamsize>(2 * large));
          });
          dump(vector, dir / "fifo.npz");
        }) < little);
  CHECK(support::peak_growth([&] {
          std::jthread writer([&] {
            std::ofstream(dir / "fifo.npz", std::ios::binary)
                << std::ifstream(dir / "v.npz", std::ios::binary).rdbuf();
          });
          if (load<Numbers>(dir / "fifo.npz") != vector) throw 0;
        }) < large + little);
  // If there is no space for it, the error names the remedy.
  const auto without_space = [&] {
    std::signal(SIGXFSZ, SIG_IGN);
    const rlimit few{mib, mib};
    ::setrlimit(RLIMIT_FSIZE, &few);
    try {
      (void)load<Numbers>(dir / "v.npz.gz");
    } catch (const hoist::SystemError& error) {
      if (std::string(error.what()).find("HOIST_TEMP_FOLDER") != std::string::npos) return;
    }
    throw 0;
  };
  CHECK(support::peak_growth(without_space) < little);
  std::ifstream in(dir / "v.npz", std::ios::binary);
  CHECK_THROWS_AS(load<Numbers>(in, {.limits = {.max_bytes = large / 2}}), hoist::LimitExceeded);
}

TEST_CASE("what a Value shares is whole for each who loads it") {
  const TempDir dir;
  const Value text(std::string(6 * mib, 'x')), bytes = Value::bytes(std::string(6 * mib, '\xFF'));
  const hoist::Array<double> array({mib});
  const Value array_value(array);
  dump(Value::list({text, text, bytes, bytes}), dir / "shared.joblib");
  const auto texts = load<std::vector<std::string>>(dir / "shared.joblib");
  CHECK((texts == std::vector<std::string>{std::string(6 * mib, 'x'), std::string(6 * mib, 'x'),
                                           std::string(6 * mib, '\xFF'),
                                           std::string(6 * mib, '\xFF')}));
  dump(Value::list({array_value, array_value}), dir / "arrays.joblib");
  CHECK((load<std::vector<std::vector<double>>>(dir / "arrays.joblib") ==
         std::vector<std::vector<double>>(2, std::vector<double>(mib))));
  // What is made from a Value outlives it and does not change it.
  const auto inner = Value::dict({{"text", text}, {"bytes", bytes}});
  const auto parts = inner.to<std::map<std::string, Value>>();
  CHECK(parts.at("text").as_text() == std::string(6 * mib, 'x'));
  CHECK((inner["text"].to<std::string>() == std::string(6 * mib, 'x')));
  CHECK((text.as_text() == std::string(6 * mib, 'x')));
  const auto brief = Value(std::string(5000, 'z')).to<Value>();
  CHECK(brief.as_text() == std::string(5000, 'z'));
}
