// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/values.hpp>

#include <exception>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <typeinfo>
#include <utility>

namespace hoist {

template <class E>
class PortableError;

namespace detail {

/// How one type of exception is encoded, and thrown again from its text `what` and its encoded
/// members.
struct ErrorForm {
  std::string name;
  std::function<void(Encoder&, const std::exception_ptr&)> write;
  /// Throws the exception; if it has a cause, inside the catch block of that cause.
  std::function<void(Decoder&, const std::string& what, bool has_cause)> raise;
};

void add_error_form(const std::type_info& type, ErrorForm form);
std::string readable_type(const std::type_info& type);

template <class E>
[[noreturn]] void raise_error(E error, bool has_cause) {
  if constexpr (std::is_class_v<E> && !std::is_final_v<E>) {
    if (has_cause) std::throw_with_nested(std::move(error));
  }
  throw error;
}

/// The standard base class that holds E's text, or void.
template <class E>
using TextBase = std::conditional_t<
    std::is_convertible_v<E*, std::logic_error*>, std::logic_error,
    std::conditional_t<std::is_convertible_v<E*, std::runtime_error*>, std::runtime_error, void>>;

/// Whether E's members can be sent. It is made from its text, so it needs no default constructor.
template <class E>
constexpr bool has_form() {
  return UserSerialize<E> || Storable<E>;
}

/// Writes E's members, also of the class derived from E that std::throw_with_nested throws.
template <class E>
void write_members(Encoder& to, const E& error) {
  if constexpr (std::is_polymorphic_v<E>) {
    const Encoder::Whole whole(to, dynamic_cast<const void*>(std::addressof(error)));
    Form<E>::traverse(to, error);
  } else {
    Form<E>::traverse(to, error);
  }
}

/// Whether E holds nothing but its text, as far as its size tells.
template <class E>
constexpr bool is_only_text() {
  using Base = TextBase<E>;
  if constexpr (!std::is_void_v<Base>) {
    return sizeof(E) == sizeof(Base);
  } else {
    return std::is_constructible_v<E, const std::string&> || sizeof(E) == sizeof(std::exception);
  }
}

template <class E>
E make_error(const std::string& what) {
  if constexpr (std::is_constructible_v<E, const std::string&>) {
    return E(what);
  } else {
    return E{};
  }
}

}  // namespace detail

}  // namespace hoist
