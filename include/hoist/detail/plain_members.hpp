// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <type_traits>
#include <utility>

// Which aggregates Boost.PFR can divide into members; on others it stops the compiler.

namespace hoist::detail {

inline constexpr std::size_t max_members = 200;

/// Initialises a member of any type.
struct AnyMember {
  template <class T>
  operator T() const noexcept;  // NOLINT(google-explicit-constructor)
};
/// Initialises a base of T, and no member.
template <class T>
struct AnyBase {
  template <class Base>
    requires(std::is_base_of_v<Base, T> && !std::is_same_v<Base, T>)
  operator Base() const noexcept;  // NOLINT(google-explicit-constructor)
};

/// Whether T has `n` members to initialise. The elements of a C array count one by one.
template <class T, std::size_t n>
constexpr bool takes_members() {
  return []<std::size_t... I>(std::index_sequence<I...>) {
    return requires { T{(static_cast<void>(I), AnyMember{})...}; };
  }(std::make_index_sequence<n>());
}

/// The number of members of a T that takes `from` but not `to`.
template <class T, std::size_t from = 0, std::size_t to = max_members + 1>
constexpr std::size_t count_members() {
  if constexpr (from + 1 == to) {
    return from;
  } else if constexpr (takes_members<T, (from + to) / 2>()) {
    return count_members<T, (from + to) / 2, to>();
  } else {
    return count_members<T, from, (from + to) / 2>();
  }
}

/// False if member `before` is a C array of several elements: emptied as a whole, it leaves too
/// few for the rest. Or if it has no default.
template <class T, std::size_t before, std::size_t behind>
constexpr bool is_single() {
  return
      []<std::size_t... I, std::size_t... J>(std::index_sequence<I...>, std::index_sequence<J...>) {
        return requires {
          T{(static_cast<void>(I), AnyMember{})..., {}, (static_cast<void>(J), AnyMember{})...};
        };
      }(std::make_index_sequence<before>(), std::make_index_sequence<behind>());
}

template <class T>
constexpr bool has_plain_members() {
  if constexpr (
      !requires { T{}; } || requires { T{AnyBase<T>{}}; } || !std::is_move_constructible_v<T> ||
      takes_members<T, max_members + 1>() ||
      !(std::is_copy_constructible_v<T> || std::is_move_assignable_v<T>)) {
    return false;
  } else {
    constexpr std::size_t n = count_members<T>();
    return []<std::size_t... I>(std::index_sequence<I...>) {
      return (is_single<T, I, n - I - 1>() && ...);
    }(std::make_index_sequence<n>());
  }
}

}  // namespace hoist::detail
