// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/array.hpp>

#include <cstddef>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

inline constexpr std::size_t side = 8;
inline constexpr std::size_t pixels = side * side;

struct Digits {
  hoist::Array<float> images;  // (n, 64), row after row, 0 to 16
  std::vector<int> labels;     // n
};

/// Reads rows of 64 pixels and a label from a CSV file, compressed or not.
Digits read_digits(const std::filesystem::path& path);

enum class Features { raw, augmented };
inline constexpr Features all_features[] = {Features::raw, Features::augmented};
const char* name_of(Features features);

/// The images that a training set may contain, shape (n, copies, 64): each unchanged, and for
/// augmented features also shifted by one pixel left, right, up and down.
hoist::Array<float> build_features(const hoist::Array<const float>& images, Features features);

/// The range [first, last) of fold number `fold` of `folds` contiguous folds of n images.
std::pair<std::size_t, std::size_t> fold_range(std::size_t n, std::size_t fold, std::size_t folds);
