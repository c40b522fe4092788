// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/loop_into.hpp>
#include <hoist/detail/reduce_tasks.hpp>

#include <concepts>
#include <cstddef>
#include <ranges>
#include <type_traits>
#include <utility>

namespace hoist::detail {

/// Whether T, Op and F fit together; errors of the compiler that say what doesn't. `Item`: const.
template <class T, class Op, class F, class Item>
constexpr bool can_reduce() {
  constexpr bool maps = std::is_invocable_v<const F&, Item>;
  static_assert(maps,
                "reduce: f can't be called (as const, since many workers call it at once) with a "
                "const element of the range");
  if constexpr (maps) {
    using Mapped = std::invoke_result_t<const F&, Item>;
    constexpr bool adds = std::is_invocable_r_v<T, const Op&, T, Mapped>;
    constexpr bool combines = std::is_invocable_r_v<T, const Op&, T, T>;
    constexpr bool starts = std::is_convertible_v<Mapped, T> || std::default_initializable<T>;
    constexpr bool keeps =
        !(std::is_integral_v<T> && std::is_floating_point_v<std::remove_cvref_t<Mapped>>);
    static_assert(!std::is_void_v<Mapped>, "reduce: f returns nothing that could be combined");
    static_assert(adds,
                  "reduce: op(T, value), where T is the type of init and value an element, or what "
                  "f returns for one, must be callable as const and return a T");
    static_assert(!adds || combines,
                  "reduce: op(T, T), where T is the type of init, must be callable as const and "
                  "return a T: it combines what different workers made");
    static_assert(starts, "reduce: what op is first called with must convert to the type of init");
    static_assert(keeps,
                  "reduce: init is an integer, so the sum of floating-point values would be one, "
                  "too: write 0.0 instead of 0");
    return adds && combines && starts && keeps;
  } else {
    return false;
  }
}

/// Makes a reduction; `T` is decayed, `F` and `Op` without reference.
template <class T, class Range, class Op, class F>
T run_reduce(const ParallelOptions& options, Range& range, T init, const Op& op, const F& f) {
  const auto combine = [&](T& total, T&& value) {
    total = static_cast<T>(std::invoke(op, std::move(total), std::move(value)));
  };
  if constexpr (ReadInPlace<Range&>) {
    ReducedRange<T, F, Op, std::ranges::iterator_t<Range>, is_iota<std::remove_cv_t<Range>>> tasks(
        f, op, std::ranges::begin(range), static_cast<std::size_t>(std::ranges::size(range)));
    LoopDriver driver(options, tasks, tasks.pieces(), Deliver::all);
    finish_loop(driver);
    for (std::size_t i = 0; i < tasks.pieces(); ++i) combine(init, std::move(tasks.value(i)));
  } else {
    // As they come: there is no end of the pieces of a long input.
    ReducedInput<T, F, Op, Range> tasks(f, op, range);
    LoopDriver driver(options, tasks, unread, Deliver::in_order);
    driver.start();
    for (std::size_t i = 0; driver.next(i, Deadline::max());) combine(init, tasks.take(i));
  }
  return init;
}

}  // namespace hoist::detail
