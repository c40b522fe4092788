// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/backend.hpp>
#include <hoist/delayed.hpp>
#include <hoist/detail/call_traits.hpp>
#include <hoist/detail/task.hpp>

#include <cstddef>
#include <functional>
#include <tuple>
#include <type_traits>
#include <typeinfo>
#include <utility>

// How an item of the input becomes a call: in this process (`call`) or in another one (the other
// functions).

namespace hoist::detail {

/// What a call returns, as a value. Throws BadArgument for a reference to an object of a derived
/// class, of which the value would be only the base.
template <class Call>
auto value_of(const Call& call) {
  using Returned = std::invoke_result_t<const Call&>;
  using Result = std::decay_t<Returned>;
  if constexpr (std::is_reference_v<Returned>) {
    Returned returned = call();
    check_whole<Result>(returned);
    return static_cast<Result>(std::forward<Returned>(returned));
  } else {
    return static_cast<Result>(call());
  }
}

/// The items are delayed calls.
struct DelayedCalls {
  template <class Call>
  using ResultOf = std::decay_t<std::invoke_result_t<Call&>>;

  /// Makes a call. `again`: it may have to be made once more, with the same arguments.
  template <class Item>
  static ResultOf<std::remove_const_t<Item>> call(Item& item, bool again) {
    if constexpr (std::is_const_v<Item>) {
      return call_unchanged(item);
    } else {
      if constexpr (can_repeat<Item>()) {
        if (again) return call_unchanged(item);
      }
      return value_of([&]() -> decltype(auto) { return item(); });
    }
  }
  /// True if the call can be made several times with the same arguments.
  template <class Call>
  static constexpr bool can_repeat() {
    return keeps<Call>(std::type_identity<Call>{}) || copies(std::type_identity<Call>{});
  }
  template <class Call>
  static void check_repeats(std::type_identity<Call> type) {
    if constexpr (!can_repeat<Call>()) throw_cannot_repeat(changed_type(type));
  }

  template <bool discards, class F, class... Args>
  static void check_writes(std::type_identity<Delayed<F, Args...>>) {
    find_written<std::is_void_v<TaskResult<F, Args...>> || discards, F, Args...>(
        throw_writes_to_copy);
  }
  template <class R, class F, class... Args>
  static PortableCode portable(std::type_identity<Delayed<F, Args...>> type) {
    check_travels<F, Args...>();
    check_writes<false>(type);
    if constexpr (!std::is_void_v<R> && !std::is_same_v<R, TaskResult<F, Args...>>) {
      throw_result_cannot_travel(typeid(R));
    } else {
      return {run_call<F, Args...>, nullptr, call_operator_of<F>()};
    }
  }
  static void encode_callable(Encoder&) {}
  template <class F, class... Args>
  static void encode_item(Encoder& to, const Delayed<F, Args...>& item) {
    std::apply([&](const Args&... args) { send_call<F, Args...>(to, item.function(), args...); },
               item.arguments());
  }

 private:
  template <class Call, class F, class... Args>
  static constexpr bool keeps(std::type_identity<Delayed<F, Args...>>) {
    return leaves_arguments<F, Args...>();
  }
  template <class F, class... Args>
  static constexpr bool copies(std::type_identity<Delayed<F, Args...>>) {
    return can_copy<F>() && (can_copy<Args>() && ...);
  }
  template <class F, class... Args>
  static const std::type_info& changed_type(std::type_identity<Delayed<F, Args...>>) {
    const std::type_info* type = &typeid(F);
    ((can_copy<Args>() ? void() : void(type = &typeid(Args))), ...);
    return *type;
  }
  /// Calls with the callable and the arguments as const, or with copies of them.
  template <class Call>
  static ResultOf<Call> call_unchanged(const Call& item) {
    if constexpr (keeps<Call>(std::type_identity<Call>{}) || !copies(std::type_identity<Call>{})) {
      return std::apply(
          [&](const auto&... args) {
            static_assert(std::is_invocable_v<decltype(item.function()), decltype(args)...>,
                          "the delayed calls are const, and one can't be made without changing "
                          "arguments that can't be copied: pass them as non-const objects");
            return value_of(
                [&]() -> decltype(auto) { return std::invoke(item.function(), args...); });
          },
          item.arguments());
    } else {
      Call own(item);
      return value_of([&]() -> decltype(auto) { return own(); });
    }
  }
};

/// How a loop calls the callable that it was given: many workers share it.
template <class F>
using SharedCallable = const std::remove_reference_t<F>&;

/// One function for all items, held by reference or by value (`F` is a reference or not). Many
/// workers call it at once.
template <class F>
struct MappedCalls {
  F f;
  using Plain = std::decay_t<F>;
  using Shared = SharedCallable<F>;

  /// Calls the function with an item. `again`: it may have to be called once more; `Held`: with the
  /// same item, which belongs to the loop.
  template <bool Held, class Item>
  auto call(Item&& item, bool again) const {
    using Own = std::remove_cvref_t<Item>;
    const auto call_with = [&](auto&& own) {
      return value_of([&]() -> decltype(auto) {
        return std::invoke(shared(), std::forward<decltype(own)>(own));
      });
    };
    if constexpr (std::is_invocable_v<Shared, Item>) {
      if constexpr (Held && !leaves_arguments<Plain, Own>() && can_copy<Own>()) {
        if (again) {
          Own own(std::as_const(item));
          return call_with(own);
        }
      }
      return call_with(std::forward<Item>(item));
    } else {
      // A function that takes its argument by value gets the item itself, which nobody reads
      // afterwards.
      using Moved = std::remove_reference_t<Item>&&;
      if constexpr (can_copy<Own>()) {
        if (again) return call_with(Own(std::as_const(item)));
      }
      return call_with(static_cast<Moved>(item));
    }
  }
  template <bool Held, class Item>
  static constexpr bool can_repeat() {
    using Own = std::remove_cvref_t<Item>;
    if constexpr (std::is_invocable_v<Shared, Item>) {
      return !Held || leaves_arguments<Plain, Own>() || can_copy<Own>();
    } else {
      return can_copy<Own>();
    }
  }

  /// `Item`: const or not.
  template <bool discards, class Item>
  static void check_writes(std::type_identity<Item>) {
    find_written<discards, const Plain, Item>(throw_writes_to_copy);
  }
  template <class R, class Item>
  static PortableCode portable(std::type_identity<Item>) {
    check_travels<const Plain, Item>();
    if constexpr (!std::is_void_v<R> && !std::is_same_v<R, TaskResult<const Plain, Item>>) {
      throw_result_cannot_travel(typeid(R));
    } else {
      return {run_item<Plain, Item>, open_callable<Plain>, call_operator_of<Plain>()};
    }
  }
  void encode_callable(Encoder& to) const {
    if constexpr (std::is_function_v<std::remove_reference_t<F>>) {
      const Plain pointer = f;
      send_callable<Plain>(to, pointer);
    } else {
      send_callable<Plain>(to, f);
    }
  }
  template <class Item>
  static void encode_item(Encoder& to, const Item& item) {
    send_arguments<Item>(to, item);
  }

 private:
  Shared shared() const { return f; }
};

/// Whether calls pass the elements of a tuple (StarredCalls).
template <class Calls>
inline constexpr bool passes_elements = false;

/// Throws if what the calls of a loop write to its items would be lost in other processes. `Item`:
/// an element of the input, `Reference`: what the input's iterators give.
template <class Calls, class R, class Item, class Reference>
void check_writes_to_items() {
  if constexpr (is_delayed<Item>) {
    Calls::template check_writes<std::is_void_v<R>>(std::type_identity<Item>{});
  } else if constexpr (passes_elements<Calls>) {
    Calls::template check_writes<std::is_void_v<R>>(std::type_identity<Reference>{});
  } else if constexpr (std::is_lvalue_reference_v<Reference>) {
    using Given = std::remove_reference_t<Reference>;
    Calls::template check_writes<std::is_void_v<R>>(std::type_identity<Given>{});
  }
}
/// Throws if a call can't be made again with the same item. `Given`: as what the call gets the
/// item; `Held`: the item belongs to the loop.
template <class Calls, class Item, bool Held, class Given>
void check_repeats_of_items() {
  if constexpr (is_delayed<Item>) {
    Calls::check_repeats(std::type_identity<Item>{});
  } else if constexpr (!Calls::template can_repeat<Held, Given>()) {
    throw_cannot_repeat(typeid(Item));
  }
}

}  // namespace hoist::detail
