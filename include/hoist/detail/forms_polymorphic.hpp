// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/derived.hpp>
#include <hoist/detail/forms.hpp>
#include <hoist/detail/forms_sequences.hpp>

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <typeinfo>

namespace hoist::detail {

template <class Base, class Class>
constexpr ClassForm class_form(std::string_view name) {
  return {
      name,
      &typeid(Base),
      &typeid(Class),
      &schema_of<Class>,
      [](Encoder& to, const void* object) {
        Form<Class>::traverse(to, as_class<const Class>(*static_cast<const Base*>(object)));
      },
      [](Hasher& hasher, const void* object) {
        Form<Class>::traverse(hasher, as_class<const Class>(*static_cast<const Base*>(object)));
      },
      []() -> void* { return static_cast<Base*>(new Class()); },
      [](Decoder& from, void* object) {
        Form<Class>::traverse(from, as_class<Class>(*static_cast<Base*>(object)));
      },
  };
}

/// The object behind a pointer or a reference to a T: its class, then the object as one of that
/// class. The class is told by a number; the first time its name (empty for T itself) and its
/// schema follow. In a hash name and schema precede each object.
template <class T>
struct ObjectForm {
  static void schema(SchemaWriter& writer) { writer.text("any"); }

  static const ClassForm& class_of(const T& object) {
    if constexpr (!std::is_abstract_v<T>) {
      if (typeid(object) == typeid(T)) return itself();
    }
    return class_form_of(typeid(T), typeid(object));
  }

  static void hash(Hasher& hasher, const T& object) {
    const ClassForm& form = class_of(object);
    hasher.length(form.name.size());
    hasher.block(form.name.data(), form.name.size());
    hasher.scalar(form.schema().digest.low);
    hasher.scalar(form.schema().digest.high);
    form.hash(hasher, &object);
  }

  static void write(Encoder& encoder, const T& object) {
    const ClassForm& form = class_of(object);
    const auto [number, is_new] = encoder.class_number(&form);
    encoder.length(number);
    if (is_new) {
      const std::string name(form.name);
      Form<std::string>::traverse(encoder, name);
      Form<std::string>::traverse(encoder, form.schema().text);
    }
    form.encode(encoder, &object);
  }

  /// The class of the object that follows.
  static const ClassForm& read_class(Decoder& decoder) {
    const std::size_t number = decoder.length(true);
    if (const ClassForm* known = decoder.known_class(number)) {
      if (*known->base != typeid(T)) Decoder::throw_damaged();
      return *known;
    }
    std::string name;
    std::string schema;
    Form<std::string>::traverse(decoder, name);
    Form<std::string>::traverse(decoder, schema);
    const ClassForm& form = named(name);
    check_class_schema(form, schema);
    decoder.add_class(&form);
    return form;
  }
  static T* make(const ClassForm& form) { return static_cast<T*>(form.make()); }

 private:
  static const ClassForm& itself() {
    static constinit const ClassForm form = class_form<T, T>({});
    return form;
  }
  static const ClassForm& named(const std::string& name) {
    if constexpr (!std::is_abstract_v<T>) {
      if (name.empty()) return itself();
    }
    return class_form_named(typeid(T), name);
  }
};

/// Whether what a pointer to T leads to has a form. An abstract class needs none of its own.
template <class T, class... Open>
constexpr bool is_pointee() {
  if constexpr ((std::is_same_v<T, Open> || ...)) {
    return true;
  } else if constexpr (!requires { sizeof(T); }) {
    return false;
  } else if constexpr (Derivable<T> && std::is_abstract_v<T>) {
    return true;
  } else {
    return detail::supported<T, Open...>();
  }
}

template <class T>
void describe_pointee(SchemaWriter& writer, std::string_view mark) {
  writer.text(mark);
  if constexpr (Derivable<T>) {
    ObjectForm<T>::schema(writer);
  } else {
    writer.type<T>();
  }
}

/// Encodes or hashes what a pointer or a reference leads to.
template <class T, class Ar>
void write_pointee(Ar& ar, const T& object) {
  if constexpr (!Derivable<T>) {
    Form<T>::traverse(ar, object);
  } else if constexpr (Ar::hashing) {
    ObjectForm<T>::hash(ar, object);
  } else {
    ObjectForm<T>::write(ar, object);
  }
}

/// Decodes an object and returns it; `made(pointer)` is called before its content is read.
template <class Pointer, class T, class Made>
Pointer read_pointee(Decoder& decoder, Made&& made) {
  if constexpr (Derivable<T>) {
    const ClassForm& form = ObjectForm<T>::read_class(decoder);
    Pointer object(ObjectForm<T>::make(form));
    made(object);
    form.decode(decoder, object.get());
    return object;
  } else {
    Pointer object(new T{});
    made(object);
    Form<T>::traverse(decoder, *object);
    return object;
  }
}

/// unique_ptr: a flag, then the object if there is one.
template <class T>
  requires(!std::is_array_v<T>)
struct Form<std::unique_ptr<T>> {
  using Object = std::remove_const_t<T>;
  template <class... Open>
  static constexpr bool supported() {
    return is_pointee<Object, Open...>();
  }
  static void schema(SchemaWriter& writer) { describe_pointee<Object>(writer, "?"); }

  template <class Ar, class V>
  static void traverse(Ar& ar, V& value) {
    const typename Ar::Depth depth(ar);
    bool present = static_cast<bool>(value);
    Form<bool>::traverse(ar, present);
    if constexpr (Ar::decoding) value.reset();
    if (!present) return;
    if constexpr (Ar::decoding) {
      value = read_pointee<std::unique_ptr<Object>, Object>(ar, [](const auto&) {});
    } else {
      write_pointee<Object>(ar, *value);
    }
  }
};

/// shared_ptr: objects are numbered in the order of their first visit (0 is null) and encoded once.
/// In a hash each pointer counts with the content of its object, so that shared and equal objects
/// hash equal.
template <class T>
struct Form<std::shared_ptr<T>> {
  using Object = std::remove_const_t<T>;
  template <class... Open>
  static constexpr bool supported() {
    return is_pointee<Object, Open...>();
  }
  static void schema(SchemaWriter& writer) { describe_pointee<Object>(writer, "&"); }

  template <class Ar, class V>
  static void traverse(Ar& ar, V& value) {
    const typename Ar::Depth depth(ar);
    if constexpr (Ar::decoding) {
      const std::size_t number = ar.length();
      if (number == 0) {
        value.reset();
      } else if (auto known = ar.shared(number - 1, &type_tag<Object>)) {
        value = std::static_pointer_cast<Object>(known);
      } else {
        value = read_pointee<std::shared_ptr<Object>, Object>(
            ar, [&](const auto& object) { ar.add_shared(object, &type_tag<Object>); });
      }
    } else if constexpr (Ar::hashing) {
      ar.length(value ? 1 : 0);
      if (value && ar.enter(value.get())) {
        write_pointee<Object>(ar, *value);
        ar.leave();
      }
    } else {
      if (!value) return ar.length(0);
      const auto [number, is_new] = ar.shared(value.get(), &type_tag<Object>);
      ar.length(number + 1);
      if (is_new) write_pointee<Object>(ar, *value);
    }
  }
};

template <class T>
struct Form<std::weak_ptr<T>> {
  template <class... Open>
  static constexpr bool supported() {
    return Form<std::shared_ptr<T>>::template supported<Open...>();
  }
  static void schema(SchemaWriter& writer) { Form<std::shared_ptr<T>>::schema(writer); }
  template <class Ar, class V>
  static void traverse(Ar& ar, V& value) {
    std::shared_ptr<T> object = value.lock();
    Form<std::shared_ptr<T>>::traverse(ar, object);
    if constexpr (Ar::decoding) value = object;
  }
};

}  // namespace hoist::detail
