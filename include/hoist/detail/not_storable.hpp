// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/schema.hpp>
#include <hoist/detail/traits.hpp>
#include <hoist/fields.hpp>

#include <array>
#include <cstddef>
#include <string_view>
#include <type_traits>
#include <utility>

// What the compiler says of a type that is no value: the cause, and which member is to blame.

namespace hoist::detail {

template <class T, class... Open>
constexpr bool supported();

/// Matrices and expressions of Eigen, told by their names, since hoist doesn't include Eigen.
template <class T>
concept LooksLikeEigen = requires {
  typename T::PlainObject;
  typename T::StorageKind;
  typename T::Scalar;
};
template <class T>
concept EigenExpression = LooksLikeEigen<T> && !std::is_same_v<T, typename T::PlainObject>;

/// A class has a member `serialize`, be it private, if the name is ambiguous in a class that
/// inherits another one.
struct OtherSerialize {
  void serialize();
};
template <class T>
struct BothSerialize : T, OtherSerialize {};
template <class T>
constexpr bool names_serialize() {
  if constexpr (std::is_class_v<T> && !std::is_final_v<T>) {
    return !requires { &BothSerialize<T>::serialize; };
  } else {
    return false;
  }
}

/// True for types that only have the form that is an error.
template <class T>
concept NoForm = requires { Form<T>::refuse(); };

/// The name of a member as a template argument, which compilers print.
template <std::size_t size>
struct MemberName {
  char text[size];
};
template <class T, std::size_t I>
constexpr auto member_name() {
  constexpr std::string_view name = field_names<T>[I];
  MemberName<name.size() + 1> result{};
  for (std::size_t i = 0; i < name.size(); ++i) result.text[i] = name[i];
  return result;
}

template <class T, class Struct = void, auto name = 0>
struct NotStorable;
struct NobodyToBlame {};

template <class T, std::size_t I>
constexpr auto blame_member() {
  using Type = std::remove_cv_t<field_type<T, I>>;
  if constexpr (I + 1 < field_count<T> && supported<Type>()) {
    return blame_member<T, I + 1>();
  } else {
    return std::type_identity<NotStorable<Type, T, member_name<T, I>()>>{};
  }
}
/// The first of a container's parts that is no value.
template <class First, class... Rest>
constexpr auto blame_part() {
  using Part = std::remove_cv_t<First>;
  if constexpr (std::is_object_v<Part> && !supported<Part>()) {
    return std::type_identity<NotStorable<Part>>{};
  } else if constexpr (sizeof...(Rest) > 0) {
    return blame_part<Rest...>();
  } else {
    return std::type_identity<NobodyToBlame>{};
  }
}
template <template <class...> class C, class... Ts>
constexpr auto blame_parts(std::type_identity<C<Ts...>>) {
  return blame_part<Ts...>();
}
template <class T, std::size_t n>
constexpr auto blame_parts(std::type_identity<std::array<T, n>>) {
  return blame_part<T>();
}
constexpr auto blame_parts(...) { return std::type_identity<NobodyToBlame>{}; }

template <class T>
constexpr auto blame() {
  if constexpr (NoForm<T> || UserSerialize<T>) {
    return std::type_identity<NobodyToBlame>{};
  } else if constexpr (Aggregate<T>) {
    return blame_member<T, 0>();
  } else {
    return blame_parts(std::type_identity<T>{});
  }
}

enum class Cause { part, matrix, expression, hidden, members, no_default, other };
template <class T>
constexpr Cause cause() {
  if constexpr (EigenExpression<T>) {
    return Cause::expression;
  } else if constexpr (LooksLikeEigen<T>) {
    return Cause::matrix;
  } else if constexpr (UserSerialize<T>) {
    return Cause::no_default;
  } else if constexpr (!NoForm<T>) {
    return Cause::part;
  } else if constexpr (names_serialize<T>()) {
    return Cause::hidden;
  } else {
    return std::is_aggregate_v<T> && std::is_class_v<T> ? Cause::members : Cause::other;
  }
}

template <class T, Cause other>
inline constexpr bool has_other_cause = cause<T>() != other;

/// An error of the compiler, which says why T is no value. Where T is a member of a struct, that
/// and its name are told too.
template <class T, class Struct, auto name>
struct NotStorable {
  static_assert(has_other_cause<T, Cause::expression>,
                "hoist can't store, hash or send an Eigen expression: call .eval() on it, and "
                "return a matrix instead of auto");
  static_assert(has_other_cause<T, Cause::matrix>,
                "hoist can store, hash and send Eigen's matrices with #include <hoist/eigen.hpp>");
  static_assert(has_other_cause<T, Cause::hidden>,
                "hoist can't call this class's serialize(): it needs `template <class Ar> void "
                "serialize(Ar& ar)`, and `friend hoist::Access;` if it is private");
  static_assert(has_other_cause<T, Cause::no_default>,
                "hoist makes an empty object before it calls serialize() to fill it: the class "
                "needs a default constructor");
  static_assert(has_other_cause<T, Cause::members>,
                "hoist can't visit this struct's members by itself (it has a C array, a base, a "
                "bit-field, an anonymous union, a reference, a member that has no default or can't "
                "be moved, or more than 100 members): give it a member `template <class Ar> void "
                "serialize(Ar& ar) { ar(first, second); }`");
  static_assert(has_other_cause<T, Cause::other>,
                "hoist can't store, hash or send values of this type. Give the class a member "
                "`template <class Ar> void serialize(Ar& ar) { ar(first, second); }` or a free "
                "function `serialize(Ar&, T&)`. (Raw pointers, references, std::function, string "
                "views and C arrays have no such form: store what they refer to.)");
};

/// The innermost of the types that are to blame. (Functions would complete their arguments.)
template <class Blamed>
struct Innermost;
template <class Blamed, class Inner>
struct InnermostOf : Innermost<Inner> {};
template <class Blamed>
struct InnermostOf<Blamed, NobodyToBlame> {
  using type = Blamed;
};
template <class T, class Struct, auto name>
struct Innermost<NotStorable<T, Struct, name>>
    : InnermostOf<NotStorable<T, Struct, name>, typename decltype(blame<T>())::type> {};

template <class T, bool = supported<T>()>
struct FindCulprit : Innermost<NotStorable<T>> {};
template <class T>
struct FindCulprit<T, true> {
  using type = NobodyToBlame;
};

/// To be made complete before anything else is done with a T, so that its error is the first.
template <class T>
using StorableCheck = typename FindCulprit<T>::type;

}  // namespace hoist::detail
