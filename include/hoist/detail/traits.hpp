// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/hasher.hpp>
#include <hoist/fields.hpp>

#include <array>
#include <complex>
#include <cstddef>
#include <type_traits>
#include <utility>

// What is known of types before their forms: whether they serialize themselves, and whether their
// bytes are their value.

namespace hoist {

/// Befriend this to let hoist call a private `serialize`.
struct Access {
  template <class Ar, class T>
  static auto serialize(Ar& ar, T& value) -> decltype(value.serialize(ar)) {
    return value.serialize(ar);
  }
};

namespace detail {

/// A stand-in to ask whether a type has a serialize function without choosing an archive.
struct AnyArchive {
  static constexpr bool decoding = false;
  template <class... Ts>
  void operator()(Ts&...);
};

template <class T>
concept MemberSerialize = requires(T& value, AnyArchive& ar) { Access::serialize(ar, value); };

template <class T>
concept FreeSerialize =
    !MemberSerialize<T> && requires(T& value, AnyArchive& ar) { serialize(ar, value); };

template <class T>
concept UserSerialize = MemberSerialize<T> || FreeSerialize<T>;

/// True for types whose bytes are the value: no padding, no pointers, every bit pattern legal.
template <class T>
constexpr bool is_block();

template <class T>
struct BlockTraits {
  static constexpr bool plain = false;
};
template <class T>
  requires(std::is_arithmetic_v<T> && !std::is_same_v<T, bool> && !std::is_same_v<T, long double>)
struct BlockTraits<T> {
  static constexpr bool plain = true;
};
template <class T>
  requires(std::is_enum_v<T> && !std::is_same_v<std::underlying_type_t<T>, bool>)
struct BlockTraits<T> {
  static constexpr bool plain = true;
};
template <class T>
struct BlockTraits<std::complex<T>> {
  static constexpr bool plain = is_block<T>();
};
template <class T, std::size_t N>
struct BlockTraits<std::array<T, N>> {
  static constexpr bool plain = N > 0 && is_block<T>();
};
template <class T>
  requires(Aggregate<T> && std::is_trivially_copyable_v<T> && !UserSerialize<T>)
struct BlockTraits<T> {
  template <std::size_t... I>
  static constexpr bool dense(std::index_sequence<I...>) {
    return sizeof...(I) > 0 && (is_block<field_type<T, I>>() && ...) &&
           (sizeof(field_type<T, I>) + ... + 0) == sizeof(T);
  }
  static constexpr bool plain = dense(std::make_index_sequence<field_count<T>>());
};

template <class T>
constexpr bool is_block() {
  return BlockTraits<T>::plain;
}

/// Blocks of these are hashed as they are; others, if they hold floats, element by element.
template <class T>
constexpr bool hashes_as_block() {
  return (std::is_integral_v<T> || std::is_enum_v<T> || canonical_of<T> != Canonical::as_is) &&
         is_block<T>();
}

/// Whether archive Ar takes contiguous elements of type T in one piece.
template <class Ar, class T>
inline constexpr bool moves_as_block = Ar::hashing ? hashes_as_block<T>() : is_block<T>();

}  // namespace detail
}  // namespace hoist
