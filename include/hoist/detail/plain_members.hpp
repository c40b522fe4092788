// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/bind_members.hpp>

#include <cstddef>
#include <string_view>
#include <type_traits>
#include <utility>

// Which aggregates can be divided into members; for the others that would be an error of the
// compiler.

namespace hoist::detail {

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

/// A base that counts as no member of T. It and its own bases have none.
template <class T>
struct FieldlessBase {};
template <class T>
inline constexpr bool has_fieldless_base =
    std::is_base_of_v<FieldlessBase<T>, T> && !std::is_same_v<FieldlessBase<T>, T>;

/// Whether T is the type of an anonymous union, or of one without a name, as the compiler's text
/// for it says.
template <class T>
constexpr bool is_unnamed_union() {
  const std::string_view text = __PRETTY_FUNCTION__;
  return text.find("<unnamed union>") != text.npos || text.find("(anonymous union") != text.npos;
}
/// Initialises an anonymous union.
struct AnyAnonymous {
  template <class T>
    requires(std::is_union_v<T> && is_unnamed_union<T>())
  operator T() const noexcept;  // NOLINT(google-explicit-constructor)
};

/// Whether T has `n` members to initialise. The elements of a C array count one by one.
template <class T, std::size_t n>
constexpr bool takes_members() {
  return []<std::size_t... I>(std::index_sequence<I...>) {
    if constexpr (has_fieldless_base<T>) {
      return requires { T{{}, (static_cast<void>(I), AnyMember{})...}; };
    } else {
      return requires { T{(static_cast<void>(I), AnyMember{})...}; };
    }
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
        if constexpr (has_fieldless_base<T>) {
          return requires {
            T{{}, (void(I), AnyMember{})..., {}, (static_cast<void>(J), AnyMember{})...};
          };
        } else {
          return requires {
            T{(static_cast<void>(I), AnyMember{})..., {}, (static_cast<void>(J), AnyMember{})...};
          };
        }
      }(std::make_index_sequence<before>(), std::make_index_sequence<behind>());
}

/// Whether member `before` is an anonymous union. A member that begins with one can be initialised
/// like it, but also in braces of its own.
template <class T, std::size_t before>
constexpr bool is_anonymous() {
  return []<std::size_t... I>(std::index_sequence<I...>) {
    if constexpr (has_fieldless_base<T>) {
      return requires { T{{}, (static_cast<void>(I), AnyMember{})..., AnyAnonymous{}}; } &&
             !requires { T{{}, (static_cast<void>(I), AnyMember{})..., {AnyAnonymous{}}}; };
    } else {
      return requires { T{(static_cast<void>(I), AnyMember{})..., AnyAnonymous{}}; } &&
             !requires { T{(static_cast<void>(I), AnyMember{})..., {AnyAnonymous{}}}; };
    }
  }(std::make_index_sequence<before>());
}

template <class T>
using MemberCount = Count<count_members<T>()>;

/// False if structured bindings of T are what its std::tuple_size says, and not its `n` members: a
/// std::array without elements has one member.
template <class T, std::size_t n>
constexpr bool binds_members() {
  if constexpr (requires { std::tuple_size<T>::value; }) {
    return std::tuple_size<T>::value == n;
  } else {
    return true;
  }
}

/// Whether T has a base whose members would be T's.
template <class T>
constexpr bool has_base() {
  if constexpr (has_fieldless_base<T>) {
    return requires { T{{}, AnyBase<T>{}}; };
  } else {
    return requires { T{AnyBase<T>{}}; };
  }
}

template <class T>
constexpr bool has_plain_members() {
  if constexpr (!requires { T{}; } || has_base<T>() || !std::is_move_constructible_v<T> ||
                takes_members<T, max_members + 1>() ||
                !(std::is_copy_constructible_v<T> || std::is_move_assignable_v<T>)) {
    return false;
  } else {
    constexpr std::size_t n = count_members<T>();
    constexpr bool can_bind = []<std::size_t... I>(std::index_sequence<I...>) {
      return ((is_single<T, I, n - I - 1>() && !is_anonymous<T, I>()) && ...);
    }(std::make_index_sequence<n>());
    if constexpr (can_bind && binds_members<T, n>()) {
      return decltype(bind_members(std::declval<T&>(), MemberCount<T>{}))::all;
    } else {
      return false;
    }
  }
}

}  // namespace hoist::detail
