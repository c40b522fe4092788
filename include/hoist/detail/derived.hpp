// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <type_traits>
#include <typeinfo>

// Objects of derived classes where the type names their base: what hoist has to know of the derived
// class, and what happens if it doesn't.

namespace hoist::detail {

class Decoder;
class Encoder;
class Hasher;
struct Schema;

/// A class whose objects may belong to a class derived from it, as far as the type tells.
template <class T>
concept Derivable = std::is_polymorphic_v<T> && !std::is_final_v<T>;

/// How objects of one class are handled that are known by their base `base`. Objects are passed as
/// pointers to that base.
struct ClassForm {
  std::string_view name;  ///< empty for the base itself
  const std::type_info* base;
  const std::type_info* type;
  const Schema& (*schema)();
  void (*encode)(Encoder& to, const void* object);
  void (*hash)(Hasher& hasher, const void* object);
  void* (*make)();
  void (*decode)(Decoder& from, void* object);
};

/// Adds a derived class under its readable name. Throws BadArgument if another class has that name.
void add_class_form(ClassForm form);
/// The form of a derived class. Throws BadArgument, which names both and the remedy, if there is
/// none.
const ClassForm& class_form_of(const std::type_info& base, const std::type_info& type);
/// Likewise by the name in the data; throws WrongType.
const ClassForm& class_form_named(const std::type_info& base, const std::string& name);
/// Throws WrongType unless the data have the class as the program has it.
void check_class_schema(const ClassForm& form, const std::string& schema);
/// Throws BadArgument: the encoded form of `base` itself has no place for the derived class.
[[noreturn]] void throw_cut(const std::type_info& base, const std::type_info& type);

/// Throws BadArgument if a copy of the object, made as a T, would lack what a derived class adds.
template <class T>
void check_whole([[maybe_unused]] const T& object) {
  if constexpr (Derivable<T>) {
    if (typeid(object) != typeid(T)) throw_cut(typeid(T), typeid(object));
  }
}

/// The derived object itself.
template <class Class, class Base>
Class& as_class(Base& object) {
  if constexpr (requires { static_cast<Class&>(object); }) {
    return static_cast<Class&>(object);
  } else {
    return dynamic_cast<Class&>(object);  // a virtual base
  }
}

}  // namespace hoist::detail
