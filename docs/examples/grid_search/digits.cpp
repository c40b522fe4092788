// SPDX-License-Identifier: BSD-3-Clause
#include "digits.hpp"

#include <hoist/codec.hpp>
#include <hoist/error.hpp>

#include <algorithm>
#include <charconv>
#include <filesystem>

Digits read_digits(const std::filesystem::path& path) {
  const std::string text = hoist::read_file(path);
  std::vector<float> images;
  std::vector<int> labels;
  const char* at = text.data();
  const char* const end = at + text.size();
  while (at < end) {
    for (std::size_t column = 0; column <= pixels; ++column) {
      int value = 0;
      const auto [next, error] = std::from_chars(at, end, value);
      const char separator = column == pixels ? '\n' : ',';
      if (error != std::errc{} || (next < end ? *next != separator : column != pixels)) {
        throw hoist::DamagedData("\"" + path.string() + "\", row " +
                                 std::to_string(labels.size() + 1) + ", column " +
                                 std::to_string(column + 1) + ": not 64 pixels and a label");
      }
      if (column < pixels) {
        images.push_back(static_cast<float>(value));
      } else {
        labels.push_back(value);
      }
      at = next < end ? next + 1 : end;
    }
  }
  const std::size_t n = labels.size();
  return {hoist::Array<float>::from_vector(std::move(images), {n, pixels}), std::move(labels)};
}

const char* name_of(Features features) { return features == Features::raw ? "raw" : "augmented"; }

hoist::Array<float> build_features(const hoist::Array<const float>& images, Features features) {
  struct Shift {
    std::ptrdiff_t rows, columns;
  };
  static constexpr Shift shifts[] = {{0, 0}, {0, -1}, {0, 1}, {-1, 0}, {1, 0}};
  const std::size_t copies = features == Features::raw ? 1 : std::size(shifts);
  const std::size_t n = images.shape(0);
  hoist::Array<float> result({n, copies, pixels});
  for (std::size_t image = 0; image < n; ++image) {
    for (std::size_t copy = 0; copy < copies; ++copy) {
      for (std::size_t row = 0; row < side; ++row) {
        for (std::size_t column = 0; column < side; ++column) {
          // Beyond the edge the unsigned coordinate wraps around, so the comparisons fail.
          const std::size_t to_row = row + static_cast<std::size_t>(shifts[copy].rows);
          const std::size_t to_column = column + static_cast<std::size_t>(shifts[copy].columns);
          if (to_row >= side || to_column >= side) continue;
          result(image, copy, to_row * side + to_column) = images(image, row * side + column);
        }
      }
    }
  }
  return result;
}

std::pair<std::size_t, std::size_t> fold_range(std::size_t n, std::size_t fold, std::size_t folds) {
  const std::size_t small = n / folds, larger = n % folds;
  const std::size_t first = fold * small + std::min(fold, larger);
  return {first, first + small + (fold < larger ? 1 : 0)};
}
