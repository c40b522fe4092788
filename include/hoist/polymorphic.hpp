// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/requirements.hpp>

#include <hoist/values.hpp>

#include <string>
#include <type_traits>

namespace hoist {

namespace detail {

template <class Base, class Class>
void register_class() {
  static_assert(std::is_convertible_v<Class*, Base*> && !std::is_same_v<Class, Base>,
                "hoist::register_derived<Base, Derived...>(): each class is publicly derived from "
                "Base");
  static_assert(std::is_polymorphic_v<Base> && std::has_virtual_destructor_v<Base>,
                "hoist::register_derived<Base, Derived...>(): Base has a virtual destructor");
  static_assert(Storable<Class>,
                "hoist::register_derived<Base, Derived...>(): each class is hoist::Storable: it "
                "has a serialize member of its own, which visits the members of its base, too, and "
                "a default constructor");
  add_class_form(class_form<Base, Class>({}));
}

}  // namespace detail

/// Lets objects of derived classes that are known as a `Base` hash, be stored and travel in full.
///
/// What holds or names them is a `std::unique_ptr<Base>` or a `std::shared_ptr<Base>`, in values of
/// any kind, a `const Base&` parameter of a cached function, `hash(base)`, or `std::ref` and
/// `std::cref` of a Base in a task. Without this call, and wherever a Base itself would be stored
/// in place of its derived object, they are refused with an error that names both classes; none is
/// ever cut down to its Base. Where data are read, in worker processes and later programs, the
/// classes have to be registered, too, which an initializer at namespace scope does:
///
///     const bool known = hoist::register_derived<Figure, Disc, Square>();
///
/// Base has a virtual destructor; it may be abstract, and then needs no `serialize`. Each class is
/// Storable, and is registered for every Base by whose pointers it is held. The data name it as the
/// source does, so renaming it makes them unreadable. Always returns true. Throws BadArgument if
/// two classes have one name (in two anonymous namespaces). Thread-safe; registering a class again
/// does nothing. Cost: objects held by such pointers pay a few nanoseconds each; final classes and
/// those without virtual functions pay nothing.
template <class Base, class... Derived>
bool register_derived() {
  (detail::register_class<Base, Derived>(), ...);
  return true;
}

}  // namespace hoist
