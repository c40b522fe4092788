// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/array.hpp>
#include <hoist/detail/shared_handle.hpp>
#include <hoist/fields.hpp>
#include <hoist/values.hpp>

#include <cstddef>
#include <functional>
#include <span>
#include <tuple>
#include <type_traits>
#include <utility>

// What the types of a call tell about what it does with its arguments.

namespace hoist::detail {

/// True for callables that are not templates. Asking whether a generic lambda accepts const
/// arguments may compile its body for them, and a body that writes does not compile.
template <class F>
inline constexpr bool has_one_signature =
    std::is_pointer_v<F> || std::is_member_pointer_v<F> || requires { &F::operator(); };

/// True if a call surely leaves its callable and its arguments (decayed types) as they are.
template <class F, class... Args>
constexpr bool leaves_arguments() {
  if constexpr (has_one_signature<F>) {
    return std::is_invocable_v<const F&, const Args&...>;
  } else {
    return false;
  }
}

/// True if objects of type T can be copied, including what they contain: std::is_copy_constructible
/// is true for a vector of unique pointers, too.
template <class T>
constexpr bool can_copy() {
  if constexpr (!std::is_copy_constructible_v<T>) {
    return false;
  } else if constexpr (requires { typename std::tuple_size<T>::type; }) {
    return []<std::size_t... I>(std::index_sequence<I...>) {
      return (can_copy<std::remove_const_t<std::tuple_element_t<I, T>>>() && ...);
    }(std::make_index_sequence<std::tuple_size_v<T>>());
  } else if constexpr (requires { typename T::value_type; }) {
    if constexpr (std::is_same_v<typename T::value_type, T> ||
                  !std::is_object_v<typename T::value_type> || std::derived_from<T, SharedHandle>) {
      return true;  // a handle's copy refers to the same objects
    } else {
      return can_copy<std::remove_const_t<typename T::value_type>>();
    }
  } else if constexpr (Aggregate<T> && !std::is_trivially_copyable_v<T> && Storable<T>) {
    return []<std::size_t... I>(std::index_sequence<I...>) {
      return (can_copy<std::remove_cv_t<field_type<T, I>>>() && ...);
    }(std::make_index_sequence<field_count<T>>());
  } else {
    return true;
  }
}

template <class T>
inline constexpr bool refers_to_mutable = false;
template <class T>
inline constexpr bool refers_to_mutable<std::reference_wrapper<T>> =
    !std::is_const_v<T> && std::is_object_v<T> && !std::derived_from<T, SharedHandle>;
template <class T>
inline constexpr bool is_mutable_span = false;
template <class T, std::size_t N>
inline constexpr bool is_mutable_span<std::span<T, N>> = !std::is_const_v<T>;

/// The type of the `J`-th argument if all are passed as lvalues, except that the `I`-th is an
/// rvalue.
template <std::size_t I, std::size_t J, class Arg>
using RvalueAt = std::conditional_t<I == J, Arg, Arg&>;

/// True if a callable writes to its `I`-th argument, as far as the types tell; `Args` are types of
/// lvalues, const or not. `discards`: it has no result, so it is called for what it changes.
template <std::size_t I, bool discards, class F, class... Args>
constexpr bool writes_to() {
  using Arg = std::tuple_element_t<I, std::tuple<Args...>>;
  if constexpr (refers_to_mutable<std::remove_cv_t<Arg>>) {
    return true;
  } else if constexpr (is_mutable_span<std::remove_cv_t<Arg>>) {
    return discards;
  } else if constexpr (std::is_const_v<Arg> || AnyArray<Arg> ||
                       std::derived_from<Arg, SharedHandle> ||
                       !(has_one_signature<F> || discards) || std::is_invocable_v<F&, Args...> ||
                       !std::is_invocable_v<F&, Args&...>) {
    // An Array is a handle: whether writes reach its elements depends on what they lie in. Those of
    // other handles do.
    return false;
  } else {
    return []<std::size_t... J>(std::index_sequence<J...>) {
      return !std::is_invocable_v<F&, RvalueAt<I, J, Args>...>;
    }(std::index_sequence_for<Args...>{});
  }
}

/// Calls found(index, type) for an argument that a call writes to.
template <bool discards, class F, class... Args, class Found>
void find_written(Found&& found) {
  [&]<std::size_t... I>(std::index_sequence<I...>) {
    ((writes_to<I, discards, F, Args...>()
          ? found(I, typeid(std::remove_cv_t<std::tuple_element_t<I, std::tuple<Args...>>>))
          : void()),
     ...);
  }(std::index_sequence_for<Args...>{});
}

/// CannotTravel: a task would write to a copy of its argument (counted from 0).
[[noreturn]] void throw_writes_to_copy(std::size_t index, const std::type_info& type);
/// BadArgument: a task can't be run again, because its first attempt moves from what can't be
/// copied.
[[noreturn]] void throw_cannot_repeat(const std::type_info& type);

}  // namespace hoist::detail
