// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <optional>
#include <ranges>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

// Cached calls for the elements of a range: hits are read, misses are a parallel loop.

namespace hoist::detail {

/// `look(element)` returns a stored result or nothing, `compute(missing)` the results of those
/// elements that have none.
template <class Result, class Range, class Look, class Compute>
auto map_missing(Range& range, const Look& look, const Compute& compute) {
  using Element = std::ranges::range_value_t<Range>;
  using Value = std::conditional_t<std::is_void_v<Result>, std::monostate, Result>;
  std::vector<std::optional<Value>> results;
  std::vector<std::size_t> places;
  std::vector<Element> missing;
  for (auto&& element : range) {
    results.push_back(look(element));
    if (results.back()) continue;
    places.push_back(results.size() - 1);
    missing.push_back(std::forward<decltype(element)>(element));
  }
  if constexpr (std::is_void_v<Result>) {
    if (!missing.empty()) compute(missing);
  } else {
    if (!missing.empty()) {
      auto computed = compute(missing);
      for (std::size_t i = 0; i < places.size(); ++i) {
        results[places[i]].emplace(std::move(computed[i]));
      }
    }
    std::vector<Result> values;
    values.reserve(results.size());
    for (auto& result : results) values.push_back(*std::move(result));
    return values;
  }
}

template <class Result, class Cached, class Range, class Loops>
auto map_cached(const Cached& cached, Range& range, const Loops& loops) {
  return map_missing<Result>(
      range, [&](const auto& element) { return cached.cached_result(element); },
      [&](auto& missing) { return loops.map(missing, cached); });
}

template <class Result, class Cached, class Range, class Loops>
auto starmap_cached(const Cached& cached, Range& range, const Loops& loops) {
  return map_missing<Result>(
      range,
      [&](const auto& element) {
        return std::apply([&](const auto&... args) { return cached.cached_result(args...); },
                          element);
      },
      [&](auto& missing) { return loops.starmap(missing, cached); });
}

}  // namespace hoist::detail
