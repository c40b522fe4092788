// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/hoist.hpp>

#include <chrono>
#include <complex>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

// What is in the files of tests/data/files-<version>, which that version has written.

namespace corpus {

struct Layer {
  std::string name;
  hoist::Array<double> weights;
  std::optional<int> units;
};

struct Model {
  std::vector<Layer> layers;
  std::map<std::string, double> scores;
  std::set<int> seeds;
  std::variant<int, std::string> tag;
  std::complex<double> phase;
  std::shared_ptr<std::string> first;
  std::shared_ptr<std::string> second;
  std::chrono::milliseconds took{};
};

inline hoist::Array<double> ramp(std::size_t rows, std::size_t columns) {
  hoist::Array<double> all({rows, columns});
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = 0.5 * static_cast<double>(i);
  return all;
}

inline Model model() {
  const auto note = std::make_shared<std::string>("shared");
  return {.layers = {{"in", ramp(80, 8), 8}, {"out", ramp(2, 3), std::nullopt}},
          .scores = {{"accuracy", 0.97}, {"loss", -0.0}},
          .seeds = {3, 1, 2},
          .tag = "best",
          .phase = {1.5, -2},
          .first = note,
          .second = note,
          .took = std::chrono::milliseconds(1500)};
}

}  // namespace corpus
