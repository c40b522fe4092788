// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/error_form.hpp>
#include <hoist/values.hpp>

#include <exception>
#include <string>
#include <type_traits>
#include <typeinfo>

namespace hoist {

/// Lets exceptions of type E come back from another process as themselves, not as RemoteError.
///
/// E can be made from its text or from nothing. If it has more than its text it is Storable: all that
/// `serialize` visits arrives, and the text of the standard bases (std::runtime_error and the like).
/// To be called in parent and worker alike, which a namespace-scope initializer does:
///
///     const bool known = hoist::register_error<TheirError>();
///
/// The standard library's exceptions and hoist's own need no registration; nor do classes of yours
/// that derive from PortableError. Exceptions derived from E are not covered by it. Thread-safe; a
/// second registration of a type replaces the first.
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
      if constexpr (detail::has_form<E>()) detail::Form<E>::traverse(to, e);
    }
  };
  form.raise = [](detail::Decoder& from, const std::string& what, bool has_cause) {
    E error = detail::make_error<E>(what);
    // Constructors often add to what they are given; this is the text as it was.
    using Base = detail::TextBase<E>;
    if constexpr (!std::is_void_v<Base>) static_cast<Base&>(error) = Base(what);
    if constexpr (detail::has_form<E>()) detail::Form<E>::traverse(from, error);
    detail::raise_error<E>(std::move(error), has_cause);
  };
  detail::add_error_form(typeid(E), std::move(form));
  return true;
}

/// Exceptions of a class that derives from this one too come back from another process as themselves:
///
///     class ParseError : public std::runtime_error, hoist::PortableError<ParseError> { ... };
///
/// Nothing needs to be called: a program that can throw one knows it, in every process. What E must
/// have is what register_error asks for.
template <class E>
class PortableError {
 public:
  PortableError() = default;
  PortableError(const PortableError&) = default;
  PortableError& operator=(const PortableError&) = default;
  // Whoever throws one needs its destructor, which needs the variable, whose initializer registers.
  ~PortableError() { static_cast<void>(&known); }

 private:
  static const bool known;
};

template <class E>
const bool PortableError<E>::known = register_error<E>();

}  // namespace hoist
