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
using hoist::Value;
using support::TempDir;
using namespace interop;

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
