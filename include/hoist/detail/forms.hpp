// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/archive.hpp>
#include <hoist/detail/decoder.hpp>
#include <hoist/detail/encoder.hpp>
#include <hoist/detail/hasher.hpp>
#include <hoist/detail/schema.hpp>
#include <hoist/detail/traits.hpp>
#include <hoist/error.hpp>
#include <hoist/fields.hpp>

#include <array>
#include <complex>
#include <concepts>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>

// A Form<T> holds everything hoist knows about a type: its schema, and one traversal that encodes,
// decodes and hashes it. This header has the forms of scalars, aggregates and classes with
// serialize(); forms_std.hpp has those of the standard library.
//
//     static constexpr bool supported<Open...>   whether all parts of T have a form; Open are the
//                                                types that are being checked (for recursive types)
//     static void schema(SchemaWriter&)
//     template <class Ar, class V> static void traverse(Ar&, V& value)   V is T or const T

namespace hoist {

namespace detail {

template <class T, class... Open>
constexpr bool supported() {
  if constexpr ((std::is_same_v<T, Open> || ...)) {
    return true;
  } else {
    return Form<T>::template supported<Open..., T>();
  }
}

template <class T>
inline constexpr bool dependent_false = false;

template <class T>
struct Form {
  template <class... Open>
  static constexpr bool supported() {
    return false;
  }
  static void schema(SchemaWriter&) { refuse(); }
  template <class Ar, class V>
  static void traverse(Ar&, V&) {
    refuse();
  }
  static void refuse() {
    static_assert(dependent_false<T>,
                  "hoist can't store, hash or send values of this type. Give the class a member "
                  "`template <class Ar> void serialize(Ar& ar) { ar(first, second); }` or a free "
                  "function `serialize(Ar&, T&)`. (Raw pointers, references, std::function, string "
                  "views and C arrays have no such form: store what they refer to.)");
  }
};

// --- scalars ------------------------------------------------------------------------------------

template <class T>
constexpr const char* scalar_name() {
  if constexpr (std::is_same_v<T, bool>)
    return "bool";
  else if constexpr (std::is_same_v<T, float>)
    return "f32";
  else if constexpr (std::is_same_v<T, double>)
    return "f64";
  else if constexpr (std::is_same_v<T, long double>)
    return "f80";
  else if constexpr (std::is_signed_v<T>)
    return sizeof(T) == 1 ? "i8" : sizeof(T) == 2 ? "i16" : sizeof(T) == 4 ? "i32" : "i64";
  else
    return sizeof(T) == 1 ? "u8" : sizeof(T) == 2 ? "u16" : sizeof(T) == 4 ? "u32" : "u64";
}

template <class T>
  requires(std::is_arithmetic_v<T>)
struct Form<T> {
  template <class... Open>
  static constexpr bool supported() {
    return true;
  }
  static void schema(SchemaWriter& writer) { writer.text(scalar_name<T>()); }

  template <class Ar, class V>
  static void traverse(Ar& ar, V& value) {
    if constexpr (std::is_same_v<T, bool> && Ar::decoding) {
      unsigned char byte = 0;
      ar.scalar(byte);
      if (byte > 1) Decoder::throw_damaged();
      value = byte == 1;
    } else if constexpr (std::is_same_v<T, long double> && !Ar::hashing) {
      // Ten bytes of x87 extended precision; the remaining six are padding.
      std::array<unsigned char, 10> bytes;
      if constexpr (!Ar::decoding) std::memcpy(bytes.data(), &value, bytes.size());
      ar.scalar(bytes);
      if constexpr (Ar::decoding) {
        value = 0;
        std::memcpy(&value, bytes.data(), bytes.size());
      }
    } else {
      ar.scalar(value);
    }
  }
};

template <class T>
  requires(std::is_enum_v<T>)
struct Form<T> {
  using Number = std::underlying_type_t<T>;
  template <class... Open>
  static constexpr bool supported() {
    return true;
  }
  static void schema(SchemaWriter& writer) { Form<Number>::schema(writer); }

  template <class Ar, class V>
  static void traverse(Ar& ar, V& value) {
    auto number = static_cast<Number>(value);
    Form<Number>::traverse(ar, number);
    if constexpr (Ar::decoding) value = static_cast<T>(number);
  }
};

// --- classes with serialize() -------------------------------------------------------------------

template <UserSerialize T>
struct Form<T> {
  template <class... Open>
  static constexpr bool supported() {
    return true;
  }
  static void schema(SchemaWriter& writer) {
    static_assert(std::is_default_constructible_v<T>,
                  "hoist makes an empty object before it calls serialize() to fill it: the class "
                  "needs a default constructor");
    if (!writer.enter(&type_tag<T>)) return;
    writer.text("object(");
    T sample{};
    call(writer, sample);
    writer.text(")");
    writer.leave();
  }

  template <class Ar, class V>
  static void traverse(Ar& ar, V& value) {
    const typename Ar::Depth depth(ar);
    const typename Ar::UserCode user_code(ar);
    // One serialize() serves both directions, so it can't be const; encoding and hashing don't
    // write.
    call(ar, const_cast<T&>(value));
  }

 private:
  template <class Ar>
  static void call(Ar& ar, T& value) {
    if constexpr (MemberSerialize<T>) {
      Access::serialize(ar, value);
    } else {
      serialize(ar, value);
    }
  }
};

// --- aggregates ---------------------------------------------------------------------------------

template <class T>
  requires(Aggregate<T> && !UserSerialize<T>)
struct Form<T> {
  template <class... Open>
  static constexpr bool supported() {
    return [&]<std::size_t... I>(std::index_sequence<I...>) {
      return (detail::supported<std::remove_cv_t<field_type<T, I>>, Open...>() && ... && true);
    }(std::make_index_sequence<field_count<T>>());
  }

  static void schema(SchemaWriter& writer) {
    if (!writer.enter(&type_tag<T>)) return;
    writer.text("struct{");
    [&]<std::size_t... I>(std::index_sequence<I...>) {
      (field<I>(writer), ...);
    }(std::make_index_sequence<field_count<T>>());
    writer.text("}");
    writer.leave();
  }

  template <class Ar, class V>
  static void traverse(Ar& ar, V& value) {
    const typename Ar::Depth depth(ar);
    for_each_field(value, [&](auto& member) {
      Form<std::remove_cvref_t<decltype(member)>>::traverse(ar, member);
    });
  }

 private:
  template <std::size_t I>
  static void field(SchemaWriter& writer) {
    if (I > 0) writer.text(",");
    writer.text(field_names<T>[I]);
    writer.text(":");
    writer.type<std::remove_cv_t<field_type<T, I>>>();
  }
};

}  // namespace detail
}  // namespace hoist
