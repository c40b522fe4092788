// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/archive.hpp>
#include <hoist/detail/decoder.hpp>
#include <hoist/detail/derived.hpp>
#include <hoist/detail/encoder.hpp>
#include <hoist/detail/hasher.hpp>
#include <hoist/detail/not_storable.hpp>
#include <hoist/detail/schema.hpp>
#include <hoist/detail/traits.hpp>
#include <hoist/error.hpp>
#include <hoist/fields.hpp>

#include <array>
#include <memory>
#include <new>
#include <string>
#include <tuple>
#include <type_traits>
#include <typeinfo>
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
struct ObjectForm;

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
  static void refuse() { static_assert(sizeof(StorableCheck<T>) > 0); }
};

// --- scalars ------------------------------------------------------------------------------------

template <Scalar T>
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
    } else if constexpr (std::is_same_v<T, long double> && std::numeric_limits<T>::digits == 64) {
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
    return std::is_default_constructible_v<T>;
  }
  static void schema(SchemaWriter& writer) {
    static_assert(sizeof(StorableCheck<T>) > 0);
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
    if constexpr (std::is_polymorphic_v<T> && !Ar::decoding) {
      const typename Ar::Whole whole(ar, dynamic_cast<const void*>(std::addressof(value)));
      if (!traverse_derived(ar, value, whole.begins())) call(ar, const_cast<T&>(value));
      return;
    }
    // One serialize() serves both directions, so it can't be const; encoding and hashing don't
    // write.
    call(ar, const_cast<T&>(value));
  }

 private:
  /// An object of a derived class hashes in full where hoist knows the class. False: it is a T.
  template <class Ar>
  static bool traverse_derived(Ar& ar, const T& value, bool is_whole) {
    if constexpr (Derivable<T>) {
      const bool derived = is_whole && typeid(value) != typeid(T);
      if constexpr (Ar::hashing) {
        Form<bool>::traverse(ar, derived);
        if (derived) ObjectForm<T>::hash(ar, value);
      } else if (derived) {
        throw_cut(typeid(T), typeid(value));
      }
      return derived;
    } else {
      return false;
    }
  }

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
      return ((!std::is_volatile_v<field_type<T, I>> &&
               detail::supported<std::remove_const_t<field_type<T, I>>, Open...>()) &&
              ... && true);
    }(std::make_index_sequence<field_count<T>>());
  }

  static void schema(SchemaWriter& writer) {
    if (!writer.enter(&type_tag<T>)) return;
    if constexpr (std::is_default_constructible_v<T> && detail::supported<T>()) {
      writer.note_defaults([](Encoder& encoder) {
        const T value = T();
        traverse(encoder, value);
      });
    }
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
    if constexpr (Ar::decoding && has_const_field()) {
      decode_anew(ar, value);
    } else {
      for_each_field(value, [&](auto& member) {
        Form<std::remove_cvref_t<decltype(member)>>::traverse(ar, member);
      });
    }
  }

 private:
  template <std::size_t I>
  static void field(SchemaWriter& writer) {
    if (I > 0) writer.text(",");
    writer.text(field_names<T>[I]);
    writer.text(":");
    writer.type<std::remove_cv_t<field_type<T, I>>>();
  }

  static constexpr auto fields = [] { return std::make_index_sequence<field_count<T>>(); };
  static constexpr bool has_const_field() {
    return []<std::size_t... I>(std::index_sequence<I...>) {
      return (std::is_const_v<field_type<T, I>> || ... || false);
    }(fields());
  }
  /// Constant members get their values where the object is made.
  template <class Ar>
  static void decode_anew(Ar& ar, T& value) {
    [&]<std::size_t... I>(std::index_sequence<I...>) {
      std::tuple<std::remove_const_t<field_type<T, I>>...> parts;
      (Form<std::remove_const_t<field_type<T, I>>>::traverse(ar, std::get<I>(parts)), ...);
      // A move that throws would leave no object: noexcept, so that it ends the program.
      [&]() noexcept {
        std::destroy_at(std::addressof(value));
        ::new (static_cast<void*>(std::addressof(value))) T{std::move(std::get<I>(parts))...};
      }();
    }(fields());
  }
};

}  // namespace detail
}  // namespace hoist
