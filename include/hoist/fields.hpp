// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <boost/pfr/core.hpp>
#include <cstddef>
#include <string_view>
#include <type_traits>
#include <utility>

namespace hoist {

/// Aggregates: classes without constructors, private members, virtual functions. hoist visits their
/// members with no code of theirs (up to 200; no base classes, std::array instead of C arrays).
template <class T>
concept Aggregate = std::is_aggregate_v<T> && std::is_class_v<T>;

/// Number of members of an aggregate.
template <Aggregate T>
inline constexpr std::size_t field_count = boost::pfr::tuple_size_v<T>;

/// Type of member `I`.
template <Aggregate T, std::size_t I>
using field_type = boost::pfr::tuple_element_t<I, T>;

/// Calls `f(member)` for each member in declaration order.
template <class T, class F>
  requires Aggregate<std::remove_const_t<T>>
constexpr void for_each_field(T& object, F&& f) {
  [&]<std::size_t... I>(std::index_sequence<I...>) {
    (f(boost::pfr::get<I>(object)), ...);
  }(std::make_index_sequence<field_count<std::remove_const_t<T>>>());
}

namespace detail {

// A member's name is read off the compiler's rendering of a pointer to it. The object is declared,
// never defined: only its members' addresses are formed, as constants.
template <class T>
struct Unmade {
  T object;
};
#if defined(__clang__)
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wundefined-var-template"
#pragma clang diagnostic ignored "-Wundefined-internal"
#endif
template <class T>
extern const Unmade<T> unmade;

template <auto Pointer>
constexpr std::string_view rendered() {
  return __PRETTY_FUNCTION__;
}

template <class T, std::size_t I>
constexpr std::string_view field_name() {
  // g++: "... [with auto Pointer = (& unmade<T>.Unmade<T>::object.T::name); ..."
  // clang: "... [Pointer = &unmade<T>.object.name]"
  std::string_view text = rendered<&boost::pfr::get<I>(unmade<T>.object)>();
#if defined(__clang__)
  text = text.substr(0, text.rfind(']'));
#else
  text = text.substr(0, text.rfind("); std::string_view"));
#endif
  return text.substr(text.find_last_of(".:&") + 1);
}
#if defined(__clang__)
#pragma clang diagnostic pop
#endif

template <class T, std::size_t... I>
constexpr std::array<std::string_view, sizeof...(I)> names_of_fields(std::index_sequence<I...>) {
  return {field_name<T, I>()...};
}

}  // namespace detail

/// The members' names in declaration order.
template <Aggregate T>
inline constexpr auto field_names =
    detail::names_of_fields<T>(std::make_index_sequence<field_count<T>>());

}  // namespace hoist
