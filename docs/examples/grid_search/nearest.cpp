// SPDX-License-Identifier: BSD-3-Clause
#include "nearest.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>

namespace {

/// Pixels are small integers, so the sums are exact. Euclidean distances stay squared: only their
/// order matters.
template <Metric metric>
float distance(const float* a, const float* b) {
  std::array<float, side> lanes{};
  for (std::size_t row = 0; row < pixels; row += side) {
    for (std::size_t i = 0; i < side; ++i) {
      const float difference = a[row + i] - b[row + i];
      if constexpr (metric == Metric::euclidean) lanes[i] += difference * difference;
      if constexpr (metric == Metric::manhattan) lanes[i] += std::fabs(difference);
      if constexpr (metric == Metric::chebyshev) {
        lanes[i] = std::max(lanes[i], std::fabs(difference));
      }
    }
  }
  float total = 0;
  for (const float lane : lanes)
    total = metric == Metric::chebyshev ? std::max(total, lane) : total + lane;
  return total;
}

struct Neighbour {
  float distance;
  std::uint32_t index;
  int label;
  bool operator<(const Neighbour& other) const {
    return distance != other.distance ? distance < other.distance : index < other.index;
  }
};

template <Metric metric>
void find_nearest(const hoist::Array<const float>& features, const std::vector<int>& labels,
                  std::size_t first, std::size_t last, hoist::Array<int>& result) {
  const std::size_t n = labels.size();
  const std::size_t copies = features.shape(1);
  std::vector<Neighbour> all(copies * (n - (last - first)));
  for (std::size_t test = first; test < last; ++test) {
    auto next = all.begin();
    for (std::size_t image = 0; image < n; ++image) {
      if (image >= first && image < last) continue;
      for (std::size_t copy = 0; copy < copies; ++copy) {
        *next = {distance<metric>(&features(test, 0, 0), &features(image, copy, 0)),
                 static_cast<std::uint32_t>(next - all.begin()), labels[image]};
        ++next;
      }
    }
    std::partial_sort(all.begin(), all.begin() + max_k, all.end());
    for (std::size_t i = 0; i < max_k; ++i) result(test - first, i) = all[i].label;
  }
}

}  // namespace

const char* name_of(Metric metric) {
  switch (metric) {
    case Metric::euclidean: return "euclidean";
    case Metric::manhattan: return "manhattan";
    default: return "chebyshev";
  }
}

hoist::Array<int> nearest_labels(const hoist::Array<const float>& features,
                                 const std::vector<int>& labels, Metric metric, std::size_t fold) {
  const auto [first, last] = fold_range(labels.size(), fold, folds);
  hoist::Array<int> result({last - first, max_k});
  switch (metric) {
    case Metric::euclidean:
      find_nearest<Metric::euclidean>(features, labels, first, last, result);
      break;
    case Metric::manhattan:
      find_nearest<Metric::manhattan>(features, labels, first, last, result);
      break;
    case Metric::chebyshev:
      find_nearest<Metric::chebyshev>(features, labels, first, last, result);
      break;
  }
  return result;
}

int vote(const int* labels, std::size_t k) {
  std::array<int, 10> votes{};
  for (std::size_t i = 0; i < k; ++i) ++votes[static_cast<std::size_t>(labels[i])];
  return static_cast<int>(std::max_element(votes.begin(), votes.end()) - votes.begin());
}
