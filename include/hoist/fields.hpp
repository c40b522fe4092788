// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/field_names.hpp>
#include <hoist/detail/plain_members.hpp>

#include <boost/pfr/core.hpp>
#include <cstddef>
#include <type_traits>
#include <utility>

namespace hoist {

/// Aggregates: classes without constructors, private members and virtual functions.
///
/// hoist visits their members without any code from their author. Limits: at most 200 members, no
/// base classes, std::array instead of C arrays, members that have a default and can be moved; a
/// class beyond these is no Aggregate. Bit-fields and anonymous unions are not recognised, and
/// compile-time errors. The members come from Boost.PFR, their names from the compiler's text of a
/// member-pointer template argument. Everything here is evaluated at compile time.
template <class T>
concept Aggregate = std::is_aggregate_v<T> && std::is_class_v<T> && detail::has_plain_members<T>();

/// Number of members of an aggregate.
template <Aggregate T>
inline constexpr std::size_t field_count = boost::pfr::tuple_size_v<T>;

/// Type of member `I`, counted from 0 in declaration order.
template <Aggregate T, std::size_t I>
using field_type = boost::pfr::tuple_element_t<I, T>;

/// Calls `f(member)` for each member of `object` in declaration order; members of a const object
/// are const.
template <class T, class F>
  requires Aggregate<std::remove_const_t<T>>
constexpr void for_each_field(T& object, F&& f) {
  [&]<std::size_t... I>(std::index_sequence<I...>) {
    (f(boost::pfr::get<I>(object)), ...);
  }(std::make_index_sequence<field_count<std::remove_const_t<T>>>());
}

/// The members' names in declaration order: a std::array of std::string_view.
template <Aggregate T>
inline constexpr auto field_names =
    detail::names_of_fields<T>(std::make_index_sequence<field_count<T>>());

}  // namespace hoist
