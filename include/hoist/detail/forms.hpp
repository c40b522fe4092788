// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/archive.hpp>
#include <hoist/detail/decoder.hpp>
#include <hoist/detail/encoder.hpp>
#include <hoist/detail/hasher.hpp>
#include <hoist/detail/schema.hpp>
#include <hoist/error.hpp>
#include <hoist/fields.hpp>

#include <array>
#include <complex>
#include <concepts>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>

// A Form<T> says all hoist knows of a type: its schema, and the one traversal that encodes, decodes
// and hashes it. This header holds the forms of scalars, aggregates and classes with serialize();
// forms_std.hpp those of the standard library.
//
//   static constexpr bool supported<Open...>   whether all parts of T have a form; Open are the
//                                              types being asked about already (recursive types)
//   static void schema(SchemaWriter&)
//   template <class Ar, class V> static void traverse(Ar&, V& value)   V is T or const T

namespace hoist {

/// Befriend this to let hoist call a private `serialize`.
struct Access {
  template <class Ar, class T>
  static auto serialize(Ar& ar, T& value) -> decltype(value.serialize(ar)) {
    return value.serialize(ar);
  }
};

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

/// A stand-in to ask whether a type has a serialize function without choosing an archive.
struct AnyArchive {
  static constexpr bool decoding = false;
  template <class... Ts>
  void operator()(Ts&...);
};

template <class T>
concept MemberSerialize = requires(T& value, AnyArchive& ar) { Access::serialize(ar, value); };

template <class T>
concept FreeSerialize =
    !MemberSerialize<T> && requires(T& value, AnyArchive& ar) { serialize(ar, value); };

template <class T>
concept UserSerialize = MemberSerialize<T> || FreeSerialize<T>;

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

// --- scalars --------------------------------------------------------------------------------------

template <class T>
constexpr const char* scalar_name() {
  if constexpr (std::is_same_v<T, bool>) return "bool";
  else if constexpr (std::is_same_v<T, float>) return "f32";
  else if constexpr (std::is_same_v<T, double>) return "f64";
  else if constexpr (std::is_same_v<T, long double>) return "f80";
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
      // Ten bytes of x87 extended precision; the six behind them are padding.
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

// --- types that move as one block -----------------------------------------------------------------

/// True for types whose bytes are the value: no padding, no pointers, every bit pattern legal.
template <class T>
constexpr bool is_block();

template <class T>
struct BlockTraits {
  static constexpr bool plain = false;
};
template <class T>
  requires(std::is_arithmetic_v<T> && !std::is_same_v<T, bool> && !std::is_same_v<T, long double>)
struct BlockTraits<T> {
  static constexpr bool plain = true;
};
template <class T>
  requires(std::is_enum_v<T> && !std::is_same_v<std::underlying_type_t<T>, bool>)
struct BlockTraits<T> {
  static constexpr bool plain = true;
};
template <class T>
struct BlockTraits<std::complex<T>> {
  static constexpr bool plain = is_block<T>();
};
template <class T, std::size_t N>
struct BlockTraits<std::array<T, N>> {
  static constexpr bool plain = N > 0 && is_block<T>();
};
template <class T>
  requires(Aggregate<T> && std::is_trivially_copyable_v<T> && !UserSerialize<T>)
struct BlockTraits<T> {
  template <std::size_t... I>
  static constexpr bool dense(std::index_sequence<I...>) {
    return sizeof...(I) > 0 && (is_block<field_type<T, I>>() && ...) &&
           (sizeof(field_type<T, I>) + ... + 0) == sizeof(T);
  }
  static constexpr bool plain = dense(std::make_index_sequence<field_count<T>>());
};

template <class T>
constexpr bool is_block() {
  return BlockTraits<T>::plain;
}

/// Blocks of these are hashed as they are; others, if they hold floats, element by element.
template <class T>
constexpr bool hashes_as_block() {
  return (std::is_integral_v<T> || std::is_enum_v<T> || canonical_of<T> != Canonical::as_is) &&
         is_block<T>();
}

/// Whether archive Ar takes contiguous elements of type T in one piece.
template <class Ar, class T>
inline constexpr bool moves_as_block = Ar::hashing ? hashes_as_block<T>() : is_block<T>();

// --- classes with serialize() ---------------------------------------------------------------------

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
    // One serialize() serves both ways, so it can't be const; encoding and hashing don't write.
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

// --- aggregates -----------------------------------------------------------------------------------

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
