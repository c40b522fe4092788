// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/requirements.hpp>

#include <hoist/detail/field_names.hpp>
#include <hoist/detail/plain_members.hpp>

#include <cstddef>
#include <type_traits>
#include <utility>

namespace hoist {

/// Aggregates: classes without constructors, private members and virtual functions.
///
/// hoist visits their members without any code from their author. Limits: at most 100 members, no
/// base classes, bit-fields or anonymous unions, std::array instead of C arrays, members that have
/// a default and can be moved; a class beyond these is no Aggregate. The members come from
/// structured bindings, their names from the compiler's text of a member-pointer template argument.
/// Everything here is evaluated at compile time.
template <class T>
concept Aggregate = std::is_aggregate_v<T> && std::is_class_v<T> && detail::has_plain_members<T>();

/// Number of members of an aggregate.
template <Aggregate T>
inline constexpr std::size_t field_count = detail::count_members<T>();

/// Type of member `I`, counted from 0 in declaration order.
template <Aggregate T, std::size_t I>
using field_type = std::remove_reference_t<decltype(detail::nth<I>(
    detail::bind_members(std::declval<T&>(), detail::MemberCount<T>{})))>;

/// Calls `f(member)` for each member of `object` in declaration order; members of a const object
/// are const.
template <class T, class F>
  requires Aggregate<std::remove_const_t<T>>
constexpr void for_each_field(T& object, F&& f) {
  using Object = std::remove_const_t<T>;
  const auto members = detail::bind_members(object, detail::MemberCount<Object>{});
  [&]<std::size_t... I>(std::index_sequence<I...>) {
    (f(detail::nth<I>(members)), ...);
  }(std::make_index_sequence<field_count<Object>>());
}

/// The members' names in declaration order: a std::array of std::string_view.
template <Aggregate T>
inline constexpr auto field_names =
    detail::names_of_fields<T>(std::make_index_sequence<field_count<T>>());

}  // namespace hoist
