// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/values.hpp>

#include <exception>
#include <functional>
#include <string>
#include <type_traits>
#include <typeinfo>

namespace hoist {

namespace detail {

/// How one type of exception is written and made again. `what` is the text it arrives with.
struct ErrorForm {
  std::string name;
  std::function<void(Encoder&, const std::exception_ptr&)> write;
  /// Throws the exception, wherever it throws it from: inside a catch block, if it has a cause.
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

}  // namespace detail

/// Lets exceptions of type E come back from another process as themselves, not as RemoteError.
///
/// E is Storable and default-constructible (all its state arrives), or can be made from its what()
/// text. To be called in parent and worker alike, which a namespace-scope initializer does:
///
///     const bool known = hoist::register_error<MyError>();
///
/// The standard library's exceptions and hoist's own need no registration. Exceptions derived from E
/// are not covered by it. Thread-safe; a second registration of a type replaces the first.
template <class E>
bool register_error(std::string name = {}) {
  if (name.empty()) name = detail::readable_type(typeid(E));
  detail::ErrorForm form;
  form.name = std::move(name);
  if constexpr (Storable<E> && std::is_default_constructible_v<E>) {
    form.write = [](detail::Encoder& to, const std::exception_ptr& error) {
      try {
        std::rethrow_exception(error);
      } catch (const E& e) {
        detail::Form<E>::traverse(to, e);
      }
    };
    form.raise = [](detail::Decoder& from, const std::string&, bool has_cause) {
      E error{};
      detail::Form<E>::traverse(from, error);
      detail::raise_error<E>(std::move(error), has_cause);
    };
  } else {
    static_assert(
        std::is_constructible_v<E, const std::string&>,
        "register_error: give the exception a serialize() and a default constructor, or a "
        "constructor from its text");
    form.write = [](detail::Encoder&, const std::exception_ptr&) {};
    form.raise = [](detail::Decoder&, const std::string& what, bool has_cause) {
      detail::raise_error<E>(E(what), has_cause);
    };
  }
  detail::add_error_form(typeid(E), std::move(form));
  return true;
}

}  // namespace hoist
