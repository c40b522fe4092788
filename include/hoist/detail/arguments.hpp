// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/array.hpp>
#include <hoist/values.hpp>

#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

// How the arguments of a cached call enter its key, and how they read in its metadata.

namespace hoist {

/// The type of a parameter that doesn't count for the key of a cached call: a log, a progress
/// callback, a number of threads. Converts from and to a `T`, which may be a reference.
template <class T>
struct ignored {  // NOLINT(readability-identifier-naming)
  // NOLINTBEGIN(google-explicit-constructor): a call's argument becomes one by itself
  ignored(T wrapped) : value(std::forward<T>(wrapped)) {}
  template <class U>
    requires(!std::is_reference_v<T> && std::is_convertible_v<U &&, T> &&
             !std::is_same_v<std::remove_cvref_t<U>, T> &&
             !std::is_same_v<std::remove_cvref_t<U>, ignored>)
  ignored(U&& argument) : value(std::forward<U>(argument)) {}
  // NOLINTEND(google-explicit-constructor)
  operator T&() { return value; }  // NOLINT(google-explicit-constructor)
  std::remove_reference_t<T>* operator->() { return &value; }

  T value;
};

namespace detail {

/// How a parameter of (unqualified) type T is hashed. Views and C strings count by their content.
template <class T>
struct Argument {
  static constexpr bool hashable = Storable<T> || std::is_abstract_v<T>;
  static void hash(Hasher& hasher, const T& value) { hash_typed(hasher, value); }
};

template <class Char>
struct Argument<std::basic_string_view<Char>> {
  static constexpr bool hashable = true;
  static void hash(Hasher& hasher, std::basic_string_view<Char> text) {
    hash_schema<std::basic_string<Char>>(hasher);
    ContiguousForm<std::basic_string_view<Char>, Char>::traverse(hasher, text);
  }
};

template <>
struct Argument<const char*> {
  static constexpr bool hashable = true;
  static void hash(Hasher& hasher, const char* text) {
    hasher.scalar(text != nullptr);
    if (text != nullptr) Argument<std::string_view>::hash(hasher, text);
  }
};

template <class T, std::size_t N>
struct Argument<std::span<T, N>> {
  using Element = std::remove_cv_t<T>;
  static constexpr bool hashable = std::is_const_v<T> && Storable<Element>;
  static void hash(Hasher& hasher, std::span<T, N> elements) { hash_typed(hasher, elements); }
};

template <class T>
struct Argument<ignored<T>> {
  static constexpr bool hashable = true;
  static void hash(Hasher&, const ignored<T>&) {}
};

/// Whether a parameter declared as P can be part of a key. Through a plain reference a function
/// hands out results, which a cached call would not.
template <class P>
constexpr bool is_hashable_parameter() {
  using T = std::remove_cvref_t<P>;
  if constexpr (std::is_lvalue_reference_v<P> && !std::is_const_v<std::remove_reference_t<P>>) {
    return false;
  } else if constexpr (Argument<T>::hashable) {
    return true;
  } else {
    return false;
  }
}

template <class P>
void hash_parameter(Hasher& hasher, const std::remove_reference_t<P>& value) {
  if constexpr (is_hashable_parameter<P>()) {
    Argument<std::remove_cvref_t<P>>::hash(hasher, value);
  }
}

// --- text ---------------------------------------------------------------------------------------

void summarise_number(std::string& to, long double value);
void summarise_integer(std::string& to, long long value);
void summarise_integer(std::string& to, unsigned long long value);
void summarise_text(std::string& to, std::string_view value);
void summarise_elements(std::string& to, std::size_t count);
void summarise_shape(std::string& to, const Shape& shape);

/// Appends a short rendering of an argument. Never longer than about 100 characters.
template <class P>
void summarise(std::string& to, const std::remove_reference_t<P>& value) {
  using T = std::remove_cvref_t<P>;
  if constexpr (std::is_same_v<T, bool>) {
    to += value ? "true" : "false";
  } else if constexpr (std::is_integral_v<T> && sizeof(T) <= 8) {
    using Widest = std::conditional_t<std::is_signed_v<T>, long long, unsigned long long>;
    summarise_integer(to, static_cast<Widest>(value));
  } else if constexpr (std::is_floating_point_v<T>) {
    summarise_number(to, value);
  } else if constexpr (std::is_same_v<T, const char*>) {
    summarise_text(to, value == nullptr ? "" : value);
  } else if constexpr (std::is_convertible_v<const T&, std::string_view>) {
    summarise_text(to, value);
  } else if constexpr (requires {
                         value.shape();
                         value.ndim();
                       }) {
    to += "array";
    summarise_shape(to, value.shape());
  } else if constexpr (requires {
                         value.size();
                         value.begin();
                       }) {
    summarise_elements(to, value.size());
  } else {
    to += "{...}";
  }
}

}  // namespace detail
}  // namespace hoist
