// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/loop_calls.hpp>
#include <hoist/detail/loop_run.hpp>
#include <hoist/detail/loop_tasks.hpp>

#include <cstddef>
#include <functional>
#include <ranges>
#include <tuple>
#include <type_traits>
#include <utility>

namespace hoist::detail {

template <class T>
concept TupleLike = requires { typename std::tuple_size<std::remove_cvref_t<T>>::type; };

/// The (decayed) result of f for the elements of a tuple, given as an lvalue if f takes them so;
/// void* if it takes them in neither way. `Tuple` may be const.
template <class F, class Tuple>
constexpr auto starred_result() {
  return []<std::size_t... I>(std::index_sequence<I...>) {
    if constexpr (std::is_invocable_v<F, decltype(std::get<I>(std::declval<Tuple&>()))...>) {
      return std::type_identity<std::decay_t<
          std::invoke_result_t<F, decltype(std::get<I>(std::declval<Tuple&>()))...>>>{};
    } else if constexpr (std::is_invocable_v<F, decltype(std::get<I>(std::declval<Tuple>()))...>) {
      return std::type_identity<
          std::decay_t<std::invoke_result_t<F, decltype(std::get<I>(std::declval<Tuple>()))...>>>{};
    } else {
      return std::type_identity<Refused>{};
    }
  }(std::make_index_sequence<std::tuple_size_v<std::remove_const_t<Tuple>>>());
}
template <class F, class Tuple>
using StarredResult = typename decltype(starred_result<F, Tuple>())::type;
template <class F, class Tuple>
inline constexpr bool takes_elements = []<std::size_t... I>(std::index_sequence<I...>) {
  return std::is_invocable_v<F, decltype(std::get<I>(std::declval<Tuple>()))...>;
}(std::make_index_sequence<std::tuple_size_v<std::remove_cvref_t<Tuple>>>());

/// One function for all items, which are tuples: it is called with their elements. Many workers
/// call it at once.
template <class F>
struct StarredCalls {
  F f;
  using Plain = std::decay_t<F>;
  using Shared = SharedCallable<F>;

  /// As MappedCalls::call. What a tuple refers to is the caller's, not the loop's.
  template <bool Held, class Item>
  auto call(Item&& item, bool again) const {
    using Own = std::remove_cvref_t<Item>;
    using Lvalue = std::remove_reference_t<Item>&;
    if constexpr (takes_elements<Shared, Lvalue>) {
      if constexpr (Held && can_copy<Own>()) {
        if (again) {
          Own own(std::as_const(item));
          return apply<Lvalue>(own);
        }
      }
      return apply<Lvalue>(item);
    } else {
      // A function that takes an element as T&& gets it, and nobody reads it afterwards.
      using Moved = std::remove_reference_t<Item>&&;
      if constexpr (can_copy<Own>()) {
        if (again) {
          Own own(std::as_const(item));
          return apply<Own&&>(own);
        }
      }
      return apply<Moved>(item);
    }
  }
  template <bool Held, class Item>
  static constexpr bool can_repeat() {
    return (!Held && takes_elements<Shared, std::remove_reference_t<Item>&>) ||
           can_copy<std::remove_cvref_t<Item>>();
  }

  /// `Reference`: to a tuple, or a tuple of references.
  template <bool discards, class Reference>
  static void check_writes(std::type_identity<Reference>) {
    using Tuple = std::remove_cvref_t<Reference>;
    [&]<std::size_t... I>(std::index_sequence<I...>) {
      find_written<discards, const Plain, Given<Reference, std::tuple_element_t<I, Tuple>>...>(
          throw_writes_to_copy);
    }(std::make_index_sequence<std::tuple_size_v<Tuple>>());
  }
  template <class R, class Item>
  static PortableCode portable(std::type_identity<Item>) {
    return []<std::size_t... I>(std::index_sequence<I...>) {
      return portable_for<R, std::decay_t<std::tuple_element_t<I, Item>>...>();
    }(std::make_index_sequence<std::tuple_size_v<Item>>());
  }
  void encode_callable(Encoder& to) const { MappedCalls<Shared>{f}.encode_callable(to); }
  template <class Item>
  static void encode_item(Encoder& to, const Item& item) {
    std::apply(
        [&](const auto&... elements) {
          send_arguments<std::decay_t<decltype(elements)>...>(to, elements...);
        },
        item);
  }

 private:
  /// As what a task gets an element, for what it may write to: a value in a tuple that is made for
  /// it is its own.
  template <class Reference, class Element>
  using Given = std::conditional_t<
      std::is_lvalue_reference_v<Element>, std::remove_reference_t<Element>,
      std::conditional_t<std::is_lvalue_reference_v<Reference> &&
                             !std::is_const_v<std::remove_reference_t<Reference>>,
                         std::remove_reference_t<Element>, const std::remove_reference_t<Element>>>;

  template <class As, class Tuple>
  auto apply(Tuple& tuple) const {
    return value_of([&]() -> decltype(auto) {
      return std::apply(
          [&](auto&&... elements) -> decltype(auto) {
            return std::invoke(static_cast<Shared>(f),
                               std::forward<decltype(elements)>(elements)...);
          },
          static_cast<As>(tuple));
    });
  }
  template <class R, class... Args>
  static PortableCode portable_for() {
    check_travels<const Plain, Args...>();
    if constexpr (!std::is_void_v<R> && !std::is_same_v<R, TaskResult<const Plain, Args...>>) {
      throw_result_cannot_travel(typeid(R));
    } else {
      return {run_item<Plain, Args...>, open_callable<Plain>, call_operator_of<Plain>()};
    }
  }
};
template <class F>
inline constexpr bool passes_elements<StarredCalls<F>> = true;

/// The result type of starmap.
template <class F, class Range>
constexpr auto starmapped_result() {
  using Reference = std::ranges::range_reference_t<Range>;
  static_assert(TupleLike<Reference>,
                "starmap: the elements of the range are no tuples, pairs or std::arrays: use map");
  if constexpr (!TupleLike<Reference>) {
    return std::type_identity<Refused>{};
  } else {
    using Tuple = std::conditional_t<
        std::is_lvalue_reference_v<Reference>, std::remove_reference_t<Reference>,
        std::conditional_t<std::ranges::forward_range<Range>, std::remove_cvref_t<Reference>,
                           std::ranges::range_value_t<Range>>>;
    using Result = StarredResult<SharedCallable<F>, Tuple>;
    static_assert(!std::is_same_v<Result, Refused>,
                  "starmap: f can't be called (as const, since many workers call it at once) with "
                  "the elements of one of the range's tuples as its arguments");
    return std::type_identity<Result>{};
  }
}
template <class F, class Range>
using StarmappedResult = typename decltype(starmapped_result<F, Range>())::type;

}  // namespace hoist::detail
