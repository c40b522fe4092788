// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/loop_tasks.hpp>
#include <hoist/detail/tuple_iterators.hpp>

#include <algorithm>
#include <cstddef>
#include <ranges>
#include <tuple>
#include <type_traits>
#include <utility>
#include <version>

// The views behind zip() and product() before C++23.

namespace hoist::detail {

template <class Range>
inline constexpr bool is_indexed =
    std::ranges::random_access_range<Range> && std::ranges::sized_range<Range>;

struct ZipForm {
  static constexpr auto size(auto&... views) {
    return std::min({static_cast<std::ptrdiff_t>(std::ranges::size(views))...});
  }
  template <class... Views>
  static constexpr auto begin(Views&... views) {
    if constexpr ((is_indexed<Views> && ...)) {
      return IndexIterator(source(views...), 0);
    } else {
      return ZipIterator<std::ranges::iterator_t<Views>...>(std::ranges::begin(views)...);
    }
  }
  template <class... Views>
  static constexpr auto end(Views&... views) {
    if constexpr ((is_indexed<Views> && ...)) {
      return IndexIterator(source(views...), size(views...));
    } else {
      return ZipEnd<std::ranges::sentinel_t<Views>...>{{std::ranges::end(views)...}};
    }
  }

 private:
  template <class... Views>
  static constexpr auto source(Views&... views) {
    return ZipSource<std::ranges::iterator_t<Views>...>{{}, {std::ranges::begin(views)...}};
  }
};

[[noreturn]] void throw_too_many_combinations();

struct ProductForm {
  static constexpr auto begin(auto&... views) { return at(0, views...); }
  static constexpr auto end(auto&... views) {
    std::ptrdiff_t all = 1;
    if (((std::ranges::size(views) == 0) || ...)) all = 0;
    const auto count = [&](auto size) {
      if (__builtin_mul_overflow(all, static_cast<std::ptrdiff_t>(size), &all)) {
        throw_too_many_combinations();
      }
    };
    if (all != 0) (count(std::ranges::size(views)), ...);
    return at(all, views...);
  }

 private:
  template <class... Views>
  static constexpr auto at(std::ptrdiff_t index, Views&... views) {
    return IndexIterator(
        ProductSource<std::ranges::iterator_t<Views>...>{
            {},
            {std::ranges::begin(views)...},
            {static_cast<std::ptrdiff_t>(std::ranges::size(views))...}},
        index);
  }
};

/// A view of tuples, whose iterators `Form` makes from the views.
template <class Form, class... Views>
class TupleView : public std::ranges::view_interface<TupleView<Form, Views...>> {
  static constexpr bool as_const = (std::ranges::range<const Views> && ...);

 public:
  constexpr TupleView() = default;
  constexpr explicit TupleView(Views... views) : views_(std::move(views)...) {}

  constexpr auto begin() const
    requires as_const
  {
    return std::apply([](auto&... views) { return Form::begin(views...); }, views_);
  }
  constexpr auto begin()
    requires(!as_const)
  {
    return std::apply([](auto&... views) { return Form::begin(views...); }, views_);
  }
  constexpr auto end() const
    requires as_const
  {
    return std::apply([](auto&... views) { return Form::end(views...); }, views_);
  }
  constexpr auto end()
    requires(!as_const)
  {
    return std::apply([](auto&... views) { return Form::end(views...); }, views_);
  }

 private:
  std::tuple<Views...> views_;
};
template <class... Views>
using ZipView = TupleView<ZipForm, Views...>;
template <class... Views>
using ProductView = TupleView<ProductForm, Views...>;

/// Parts that workers may read in place, whatever view the tuples have them by.
template <class View>
inline constexpr bool part_in_place = ReadInPlace<View&> || tuples_in_place<View>;
template <class Range>
inline constexpr bool part_in_place<std::ranges::ref_view<Range>> = ReadInPlace<Range&>;
template <class Range>
inline constexpr bool part_in_place<std::ranges::owning_view<Range>> = ReadInPlace<Range&>;

template <class... Views>
inline constexpr bool parts_in_place =
    std::conjunction_v<std::bool_constant<part_in_place<Views>>...>;

template <class Form, class... Views>
inline constexpr bool tuples_in_place<TupleView<Form, Views...>> = parts_in_place<Views...>;
#if defined(__cpp_lib_ranges_zip)
template <class... Views>
inline constexpr bool tuples_in_place<std::ranges::zip_view<Views...>> = parts_in_place<Views...>;
#endif
#if defined(__cpp_lib_ranges_cartesian_product)
template <class... Views>
inline constexpr bool tuples_in_place<std::ranges::cartesian_product_view<Views...>> =
    parts_in_place<Views...>;
#endif

}  // namespace hoist::detail
