// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/backend.hpp>
#include <hoist/delayed.hpp>
#include <hoist/detail/task.hpp>

#include <cstddef>
#include <functional>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

// How an item of the input becomes a call: in this process (`call`) or in another one (the other
// functions).

namespace hoist::detail {

/// The items are delayed calls.
struct DelayedCalls {
  template <class Item>
  static decltype(auto) call(Item& item) {
    return const_cast<std::remove_const_t<Item>&>(item)();
  }

  template <class R, class F, class... Args>
  static PortableCode portable(std::type_identity<Delayed<F, Args...>>) {
    check_travels<F, Args...>();
    if constexpr (!std::is_void_v<R> && !std::is_same_v<R, TaskResult<F, Args...>>) {
      throw_result_cannot_travel(typeid(R));
    } else {
      return {run_call<F, Args...>, nullptr};
    }
  }
  static void encode_callable(Encoder&) {}
  template <class F, class... Args>
  static void encode_item(Encoder& to, const Delayed<F, Args...>& item) {
    std::apply([&](const Args&... args) { send_call<F, Args...>(to, item.function(), args...); },
               item.arguments());
  }
};

/// One function for all items, held by reference or by value (`F` is a reference or not).
template <class F>
struct MappedCalls {
  F f;
  using Plain = std::decay_t<F>;

  template <class Item>
  decltype(auto) call(Item&& item) {
    if constexpr (std::is_invocable_v<F&, Item>) {
      return std::invoke(f, std::forward<Item>(item));
    } else {
      // A function that takes its argument by value gets the item itself, which nobody reads
      // afterwards.
      return std::invoke(f, static_cast<std::remove_reference_t<Item>&&>(item));
    }
  }

  template <class R, class Item>
  static PortableCode portable(std::type_identity<Item>) {
    check_travels<Plain, Item>();
    if constexpr (!std::is_void_v<R> && !std::is_same_v<R, TaskResult<Plain, Item>>) {
      throw_result_cannot_travel(typeid(R));
    } else {
      return {run_item<Plain, Item>, open_callable<Plain>};
    }
  }
  void encode_callable(Encoder& to) const {
    if constexpr (std::is_function_v<std::remove_reference_t<F>>) {
      const Plain pointer = f;
      send_argument<Plain>(to, pointer, callable_index);
    } else {
      send_argument<Plain>(to, f, callable_index);
    }
  }
  template <class Item>
  static void encode_item(Encoder& to, const Item& item) {
    send_arguments<Item>(to, item);
  }
};

/// How a result is kept. A void task keeps a monostate, which says that it is done.
template <class R>
using Kept = std::conditional_t<std::is_void_v<R>, std::monostate, R>;

template <class R, class Call>
Kept<R> kept_result(Call&& call) {
  if constexpr (std::is_void_v<R>) {
    std::forward<Call>(call)();
    return {};
  } else {
    return std::forward<Call>(call)();
  }
}

template <class R>
void check_result_travels() {
  if constexpr (!result_travels<R>) throw_result_cannot_travel(typeid(R));
}

template <class R>
void encode_kept([[maybe_unused]] Encoder& to, [[maybe_unused]] const Kept<R>& value) {
  if constexpr (std::is_void_v<R>) {
    return;
  } else if constexpr (result_travels<R>) {
    send_result<R>(to, value);
  } else {
    throw_result_cannot_travel(typeid(R));
  }
}

template <class R>
Kept<R> decode_kept(Decoder& from) {
  return kept_result<R>([&] { return receive_result<R>(from); });
}

/// Results of a loop whose length is known. Many threads write them, each its own. Plain values are
/// written directly to the vector that is returned.
template <class R>
class Results {
  static constexpr bool plain = std::is_trivially_copyable_v<Kept<R>> &&
                                std::is_default_constructible_v<Kept<R>> &&
                                !std::is_same_v<R, bool>;
  using Slot = std::conditional_t<plain, Kept<R>, std::optional<Kept<R>>>;

 public:
  explicit Results(std::size_t count) {
    if constexpr (!std::is_void_v<R>) slots_.resize(count);
  }

  template <class Call>
  void set(std::size_t i, Call&& call) {
    if constexpr (std::is_void_v<R>) {
      std::forward<Call>(call)();
    } else if constexpr (plain) {
      slots_[i] = std::forward<Call>(call)();
    } else {
      slots_[i].emplace(std::forward<Call>(call)());
    }
  }
  void encode([[maybe_unused]] std::size_t i, [[maybe_unused]] Encoder& to) {
    if constexpr (!std::is_void_v<R>) encode_kept<R>(to, at(i));
  }
  void discard([[maybe_unused]] std::size_t i) {
    if constexpr (!plain) slots_[i].reset();
  }
  Kept<R> take([[maybe_unused]] std::size_t i) {
    if constexpr (std::is_void_v<R>) {
      return {};
    } else {
      return std::move(at(i));
    }
  }
  std::vector<Kept<R>> take_all() {
    if constexpr (plain) {
      return std::move(slots_);
    } else {
      std::vector<Kept<R>> all;
      all.reserve(slots_.size());
      for (auto& slot : slots_) all.push_back(std::move(*slot));
      return all;
    }
  }

 private:
  Kept<R>& at(std::size_t i) {
    if constexpr (plain) {
      return slots_[i];
    } else {
      return *slots_[i];
    }
  }
  std::vector<Slot> slots_;
};

}  // namespace hoist::detail
