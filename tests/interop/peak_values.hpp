// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <doctest/doctest.h>
#include <hoist/dump.hpp>

#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "support/extended.hpp"
#include "support/peak_memory.hpp"

// A load needs little memory beside its result, and a dump needs little memory, also in foreign
// formats, where values pass through a Value.

namespace interop {

inline constexpr std::size_t mib = std::size_t{1} << 20;
inline constexpr std::size_t large = 64 * mib;
inline constexpr std::size_t little = 48 * mib;  // with the blocks of the threads that compress
inline constexpr std::size_t very_little = 16 * mib;

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
inline std::vector<const char*> names(std::initializer_list<const char*> all, std::size_t usual) {
  return {all.begin(), support::extended ? all.end() : all.begin() + usual};
}

inline Numbers numbers() {
  Numbers all(large / sizeof(double));
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<double>(i % 1000);
  return all;
}

inline std::string text() {
  std::string all(large, 'x');
  for (std::size_t i = 0; i < all.size(); i += 7) all[i] = 'y';
  return all;
}

template <class T>
void check_dump(const T& value, const std::filesystem::path& path,
                const hoist::DumpOptions& options = {}) {
  CAPTURE(path);
  CHECK(support::peak_growth([&] { hoist::dump(value, path, options); }) < little);
}

/// Loads a value of `bytes` bytes.
template <class T>
void check_load(const T& value, const std::filesystem::path& path, std::size_t bytes,
                std::size_t allowed = little) {
  CAPTURE(path);
  CHECK(support::peak_growth([&] {
          if (hoist::load<T>(path) != value) throw 0;
        }) < bytes + allowed);
}

}  // namespace interop
