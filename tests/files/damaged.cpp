// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>
#include <hoist/array.hpp>
#include <hoist/codec.hpp>
#include <hoist/dump.hpp>
#include <hoist/error.hpp>
#include <hoist/value.hpp>

#include <array>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "support/temp_dir.hpp"

// Every truncation and every changed byte of small files that hoist wrote, in each foreign format
// with each codec. (Containers: container.cpp, filter.cpp; what Python wrote: interop/corpus.cpp.)

using hoist::Array;
using hoist::dump;
using hoist::load;
using support::TempDir;

namespace {

struct Model {
  std::int32_t depth = 0;
  Array<double> weights;
  std::string name;
  bool operator==(const Model&) const = default;
};

const hoist::LoadOptions bounded{.limits = {.max_bytes = 1 << 22, .max_memory = 1 << 22}};
const std::vector<std::string> extensions{"", ".z", ".gz", ".bz2", ".lzma", ".xz", ".lz4", ".zst"};

enum class Outcome { right, other, refused };

template <class T>
Outcome outcome_of(const std::string& bytes, const T& value) {
  std::istringstream in(bytes);
  try {
    return load<T>(in, bounded) == value ? Outcome::right : Outcome::other;
  } catch (const hoist::Error&) {
    return Outcome::refused;
  }
}

/// `checked`: whether the format itself detects changed content.
template <class T>
void check_damage(const std::string& name, const T& value, bool checked,
                  const hoist::DumpOptions& options = {}) {
  const TempDir dir;
  for (const std::string& extension : extensions) {
    CAPTURE(name);
    CAPTURE(extension);
    dump(value, dir / (name + extension), options);
    const std::string good = support::slurp(dir / (name + extension));
    CHECK((outcome_of(good, value) == Outcome::right));
    for (std::size_t n = 0; n < good.size(); ++n) {
      if (outcome_of(good.substr(0, n), value) != Outcome::refused) {
        FAIL_CHECK("accepted when cut to " << n << " bytes");
      }
    }
    CHECK((outcome_of(good + "!", value) == Outcome::refused));
    // Adler-32 is weak for short texts: every reader misses a change now and then.
    const bool sums = checked || (!extension.empty() && extension != ".lzma");
    std::size_t missed = 0;
    std::string bad = good;
    for (std::size_t i = 0; i < good.size(); ++i) {
      for (const int mask : {0x01, 0x80, 0xFF}) {
        bad[i] = static_cast<char>(good[i] ^ mask);
        if (outcome_of(bad, value) != Outcome::other || !sums) continue;
        ++missed;
        if (extension != ".z") FAIL_CHECK("another value when byte " << i << " is changed");
      }
      bad[i] = good[i];
    }
    CHECK(missed <= 2);
  }
}

}  // namespace

TEST_CASE("a damaged .npy is refused or, without a checksum, read as it is") {
  check_damage("a.npy", Array<double>::from_vector({1, 2, 3, 4, 5, 6}, {2, 3}), false);
  check_damage("a.npy", Array<std::uint8_t>::from_vector({7, 8, 9}), false);
}

TEST_CASE("a damaged .npz is refused") {
  using Arrays = std::map<std::string, std::vector<std::int16_t>>;
  check_damage("a.npz", Arrays{{"a", {1, 2, 3}}, {"b", {}}}, true);
  check_damage("a.npz", Arrays{{"a", std::vector<std::int16_t>(100, 7)}}, true, {.compress = 5});
}

TEST_CASE("a damaged joblib file is refused or, without a checksum, read as it is") {
  check_damage("a.joblib", Model{3, Array<double>::from_vector({1, 2, 3}), "name"}, false);
  check_damage("a.pkl", std::vector<std::string>{"a", "b", "c"}, false);
}

TEST_CASE("a .npy header of very many keys is refused without comparing them") {
  std::string header = "{";
  for (int i = 0; i < 100'000; ++i) header.append("'").append(std::to_string(i)).append("':0,");
  header += "}";
  std::string bytes("\x93NUMPY\x02\0", 8);
  for (int i = 0; i < 32; i += 8) bytes += static_cast<char>(header.size() >> i);
  bytes += header;
  std::istringstream in(bytes);
  CHECK_THROWS_WITH_AS(static_cast<void>(load<hoist::Value>(in)),
                       doctest::Contains("more keys than descr"), hoist::DamagedData);
}
