// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/requirements.hpp>

#include <hoist/detail/tuple_views.hpp>

#include <ranges>
#include <utility>

// Several ranges as one of tuples, for Parallel::starmap and any other loop:
//
//     auto sums = Parallel().starmap(zip(xs, ys), [](double x, double y) { return x + y; });
//     auto scores = Parallel().starmap(product(rates, depths), score);  // each with each

namespace hoist {

/// The first elements of all ranges, then the second ones, and so on, up to the end of the shortest
/// range, as tuples of what their iterators give: references to elements in memory, and values of
/// what views compute. A view: it refers to lvalues and owns temporaries. std::views::zip where the
/// standard library has it (C++23). `starmap` on threads writes through such references; in
/// processes tasks get copies, so a task that writes to an element is a CannotTravel there. `map`
/// and `for_each` give their function tuples of values.
template <std::ranges::viewable_range... Ranges>
  requires(sizeof...(Ranges) > 0)
[[nodiscard]] auto zip(Ranges&&... ranges) {
#if defined(__cpp_lib_ranges_zip)
  return std::views::zip(std::forward<Ranges>(ranges)...);
#else
  return detail::ZipView<std::views::all_t<Ranges>...>(
      std::views::all(std::forward<Ranges>(ranges))...);
#endif
}

/// Every combination of one element of each range, the last range changing fastest, as tuples like
/// those of `zip`: the order of nested loops. std::views::cartesian_product where the standard
/// library has it (C++23); before, all ranges must be random access ranges whose size is known, and
/// BadArgument is thrown if there are more combinations than can be counted.
template <std::ranges::viewable_range... Ranges>
  requires(sizeof...(Ranges) > 0)
[[nodiscard]] auto product(Ranges&&... ranges) {
#if defined(__cpp_lib_ranges_cartesian_product)
  return std::views::cartesian_product(std::forward<Ranges>(ranges)...);
#else
  constexpr bool indexed =
      ((std::ranges::random_access_range<Ranges> && std::ranges::sized_range<Ranges>) && ...);
  static_assert(indexed,
                "product: before C++23 each range must be a random access range of known size: "
                "copy its elements to a vector");
  if constexpr (indexed) {
    return detail::ProductView<std::views::all_t<Ranges>...>(
        std::views::all(std::forward<Ranges>(ranges))...);
  }
#endif
}

}  // namespace hoist
