// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/requirements.hpp>

#include <hoist/detail/error_form.hpp>
#include <hoist/values.hpp>

#include <exception>
#include <string>
#include <type_traits>
#include <typeinfo>

namespace hoist {

/// Lets exceptions of type E arrive from another process as themselves instead of as RemoteError.
///
/// E must be constructible from its text or from nothing. If it has more than its text, it must be
/// Storable: everything that `serialize` visits is sent, and the text of the standard base class
/// (std::runtime_error, for instance). Parent and worker must both call this, which an initializer
/// at namespace scope does:
///
///     const bool known = hoist::register_error<TheirError>();
///
/// The standard library's exceptions and hoist's own need no registration, nor do classes derived
/// from PortableError. Classes derived from E must be registered themselves. `name` identifies the
/// type in both processes; it is the name of the type by default. Always returns true. Thread-safe;
/// a second registration of a type replaces the first.
template <class E>
bool register_error(std::string name = {}) {
  static_assert(
      std::is_constructible_v<E, const std::string&> || std::is_default_constructible_v<E>,
      "hoist: an exception that arrives as itself has a constructor from its text or a "
      "default constructor");
  static_assert(detail::has_form<E>() || detail::is_only_text<E>(),
                "hoist: an exception with members arrives as itself if it has a member "
                "`template <class Ar> void serialize(Ar& ar) { ar(first, second); }`");
  if (name.empty()) name = detail::readable_type(typeid(E));
  detail::ErrorForm form;
  form.name = std::move(name);
  form.write = [](detail::Encoder& to, const std::exception_ptr& error) {
    try {
      std::rethrow_exception(error);
    } catch (const E& e) {
      if constexpr (detail::has_form<E>()) detail::write_members(to, e);
    }
  };
  form.raise = [](detail::Decoder& from, const std::string& what, bool has_cause) {
    E error = detail::make_error<E>(what);
    // Constructors often add to the text they are given; this restores the text as it was.
    using Base = detail::TextBase<E>;
    if constexpr (!std::is_void_v<Base>) static_cast<Base&>(error) = Base(what);
    if constexpr (detail::has_form<E>()) detail::Form<E>::traverse(from, error);
    detail::raise_error<E>(std::move(error), has_cause);
  };
  detail::add_error_form(typeid(E), std::move(form));
  return true;
}

/// Base of exception classes that arrive from another process as themselves, without a call:
///
///     class ParseError : public std::runtime_error, hoist::PortableError<ParseError> { ... };
///
/// A program that can throw such an exception has registered it before main. E must satisfy the
/// requirements of register_error.
template <class E>
class PortableError {
 public:
  PortableError() = default;
  PortableError(const PortableError&) = default;
  PortableError& operator=(const PortableError&) = default;
  // Code that throws E needs this destructor, which needs the variable, whose initializer registers
  // E.
  ~PortableError() { static_cast<void>(&known); }

 private:
  static const bool known;
};

template <class E>
const bool PortableError<E>::known = register_error<E>();

}  // namespace hoist
