// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "digits.hpp"

enum class Metric { euclidean, manhattan, chebyshev };
inline constexpr Metric all_metrics[] = {Metric::euclidean, Metric::manhattan, Metric::chebyshev};
const char* name_of(Metric metric);

inline constexpr std::size_t all_ks[] = {1, 3, 5, 7, 9};
inline constexpr std::size_t max_k = 9;
inline constexpr std::size_t folds = 5;

/// For every image of a test fold, the labels of its `max_k` nearest training images, nearest
/// first: shape (fold size, max_k). `features` are those of `build_features` for all images; the
/// training set is all but the fold.
hoist::Array<int> nearest_labels(const hoist::Array<const float>& features,
                                 const std::vector<int>& labels, Metric metric, std::size_t fold);

/// The most frequent of the first k labels; the smallest one in a tie.
int vote(const int* labels, std::size_t k);
