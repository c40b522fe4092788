// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/shared_handle.hpp>
#include <hoist/values.hpp>

#include <concepts>
#include <functional>
#include <span>
#include <string_view>
#include <type_traits>
#include <vector>

// By which way values of a type reach another process, if there is one.

namespace hoist::detail {

/// How a value reaches another process.
enum class TransferMethod {
  never,
  nothing,   ///< nothing is sent, since the type says all: a lambda without captures
  storable,  ///< encoded, as in a file
  handle,    ///< the memory that it leads to
  code,      ///< a pointer to a function
  raw,       ///< its bytes, where no address of this process is among them
  text,      ///< char pointers and string views: as a string, which the worker keeps
  elements,  ///< a span: as an array or vector, which the worker keeps
  shown,     ///< another view: as the value that it shows, which the worker keeps
  referred,  ///< std::reference_wrapper: what it refers to
  parts,     ///< its parts, each by its own way
};

/// For types that are sent as their parts: `is`, and `travel` if all of these can be sent.
template <class T>
struct PartsOf {
  static constexpr bool is = false;
};

template <class T>
struct SpanOf {
  static constexpr bool is = false;
};
template <class E, std::size_t N>
struct SpanOf<std::span<E, N>> {
  static constexpr bool is = true;
  using Element = std::remove_const_t<E>;
  static constexpr bool as_array = is_array_element<Element>();
  static auto kept() {
    if constexpr (as_array) {
      return std::type_identity<Array<Element>>{};
    } else {
      return std::type_identity<std::vector<Element>>{};
    }
  }
  using Kept = typename decltype(kept())::type;
};

template <class T>
inline constexpr bool is_function_pointer =
    std::is_pointer_v<T> && std::is_function_v<std::remove_pointer_t<T>>;

template <class T>
struct ReferredBy {
  using type = void;
};
template <class T>
struct ReferredBy<std::reference_wrapper<T>> {
  using type = std::remove_const_t<T>;
};

/// How values of (decayed) type T reach another process.
template <class T>
constexpr TransferMethod transfer_method_of() {
  if constexpr (is_function_pointer<T>) {
    return TransferMethod::code;
  } else if constexpr (PartsOf<T>::is) {
    return PartsOf<T>::travel ? TransferMethod::parts : TransferMethod::never;
  } else if constexpr (std::is_same_v<T, const char*> || std::is_same_v<T, char*> ||
                       std::is_same_v<T, std::string_view>) {
    return TransferMethod::text;
  } else if constexpr (SpanOf<T>::is) {
    return supported<typename SpanOf<T>::Kept>() ? TransferMethod::elements : TransferMethod::never;
  } else if constexpr (!std::is_void_v<typename ShownBy<T>::type>) {
    return supported<T>() ? TransferMethod::shown : TransferMethod::never;
  } else if constexpr (!std::is_void_v<typename ReferredBy<T>::type>) {
    using Referred = typename ReferredBy<T>::type;
    if constexpr (std::is_function_v<Referred>) {
      return TransferMethod::never;
    } else if constexpr (Derivable<Referred>) {
      return is_pointee<Referred>() ? TransferMethod::referred : TransferMethod::never;
    } else {
      return transfer_method_of<Referred>() == TransferMethod::never ? TransferMethod::never
                                                                     : TransferMethod::referred;
    }
  } else if constexpr (std::is_empty_v<T> && std::is_trivially_copyable_v<T>) {
    return TransferMethod::nothing;
  } else if constexpr (std::derived_from<T, SharedHandle>) {
    return TransferMethod::handle;
  } else if constexpr (Storable<T> && std::is_default_constructible_v<T> &&
                       std::is_move_constructible_v<T>) {
    return TransferMethod::storable;
  } else if constexpr (std::is_trivially_copyable_v<T> && std::is_object_v<T>) {
    return TransferMethod::raw;
  } else {
    return TransferMethod::never;
  }
}

/// True where values of T (decayed) can be sent, as far as the type tells.
template <class T>
inline constexpr bool travels = transfer_method_of<std::decay_t<T>>() != TransferMethod::never;

}  // namespace hoist::detail
