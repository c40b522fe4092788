// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/archive.hpp>
#include <hoist/fields.hpp>

#include <array>
#include <cstddef>
#include <limits>
#include <string_view>
#include <type_traits>
#include <utility>

// Type traits that the forms are built on: whether a type serializes itself, and whether its bytes
// are its value.

namespace hoist {

/// Make this a friend to let hoist call a private `serialize`.
struct Access {
  template <class Ar, class T>
  static auto serialize(Ar& ar, T& value) -> decltype(value.serialize(ar)) {
    return value.serialize(ar);
  }
};

namespace detail {

#if defined(__SIZEOF_INT128__)
__extension__ using Int128 = __int128;
__extension__ using UInt128 = unsigned __int128;
#endif

/// A placeholder archive, to check whether a type has a serialize function.
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

/// The type of the value that a view of type T shows, as which it is hashed, dumped and sent; void
/// for all types that are no such view. Views can't be loaded.
template <class T>
struct ShownBy {
  using type = void;
};

// g++ has it for AArch64 from 13 on.
#if defined(__FLT16_MAX__) && (defined(__clang__) || !defined(__aarch64__) || __GNUC__ >= 13)
#define HOIST_HAS_FLOAT16
#endif

/// The name of a number's type in schemas; null for types that have none (`__float128`).
template <class T>
constexpr const char* scalar_name() {
  if constexpr (std::is_same_v<T, bool>) {
    return "bool";
#if defined(HOIST_HAS_FLOAT16)
  } else if constexpr (std::is_same_v<T, _Float16>) {
    return "f16";
#endif
#if defined(__SIZEOF_INT128__)
  } else if constexpr (std::is_same_v<T, Int128>) {  // no integer without GNU extensions
    return "i128";
  } else if constexpr (std::is_same_v<T, UInt128>) {
    return "u128";
#endif
  } else if constexpr (std::is_floating_point_v<T>) {
    constexpr int digits = std::numeric_limits<T>::digits;
    // A long double is IEEE binary128 on AArch64, and that of x87 elsewhere.
    if constexpr (std::is_same_v<T, long double> && digits == 113) return "f128";
    return digits == 24 ? "f32" : digits == 53 ? "f64" : digits == 64 ? "f80" : nullptr;
  } else if constexpr (std::is_integral_v<T> && std::is_signed_v<T>) {
    return sizeof(T) == 1 ? "i8" : sizeof(T) == 2 ? "i16" : sizeof(T) == 4 ? "i32" : "i64";
  } else if constexpr (std::is_integral_v<T>) {
    return sizeof(T) == 1 ? "u8" : sizeof(T) == 2 ? "u16" : sizeof(T) == 4 ? "u32" : "u64";
  } else {
    return nullptr;
  }
}

/// Numbers that hoist knows.
template <class T>
concept Scalar = (scalar_name<T>() != nullptr);

/// Numbers whose elements form blocks: any bits are a number, and NumPy has them.
template <class T>
inline constexpr bool is_block_scalar =
    !std::is_same_v<T, bool> && !std::is_same_v<T, long double> && sizeof(T) <= 8;

/// Of the standard library, by its name. Classes with large headers, which only who uses them
/// includes, are told by this and their members; classes derived from them, which would be stored
/// without what they add, are others.
template <class T>
consteval bool is_standard() {
  return std::string_view(__PRETTY_FUNCTION__).find("T = std::") != std::string_view::npos;
}

template <class T>
concept LikeComplex = requires(const T& number) {
  typename T::value_type;
  number.real();
  number.imag();
} && is_standard<T>();

/// The layout that a schema implies for elements: each part aligned to its own size (complex
/// numbers to the size of their parts, structs to their strictest member). In memory a type may be
/// packed or over-aligned and so differ from it.
struct NaturalLayout {
  std::size_t size = 0;  // 0: the type has no fixed layout
  std::size_t align = 1;
  bool block = false;  // no gaps, every bit pattern is valid
};

/// `plain`: the bytes in memory are the value: no padding, no pointers, every bit pattern is valid.
template <class T>
struct BlockTraits {
  static constexpr bool plain = false;
  static constexpr NaturalLayout natural{};
};
template <class T>
  requires Scalar<T>
struct BlockTraits<T> {
  static constexpr bool plain = is_block_scalar<T>;
  static constexpr NaturalLayout natural =
      sizeof(T) > 8 ? NaturalLayout{} : NaturalLayout{sizeof(T), sizeof(T), plain};
};
template <class T>
  requires std::is_enum_v<T>
struct BlockTraits<T> : BlockTraits<std::underlying_type_t<T>> {};
template <LikeComplex T>
struct BlockTraits<T> {
  using Part = BlockTraits<typename T::value_type>;
  static constexpr bool plain = Part::plain;
  static constexpr NaturalLayout natural = {2 * Part::natural.size, Part::natural.align, plain};
};
template <class T, std::size_t N>
struct BlockTraits<std::array<T, N>> {
  static constexpr bool plain = N > 0 && BlockTraits<T>::plain;
  static constexpr NaturalLayout natural = {N * BlockTraits<T>::natural.size,
                                            BlockTraits<T>::natural.align,
                                            N > 0 && BlockTraits<T>::natural.block};
};
template <class T>
  requires(Aggregate<T> && !UserSerialize<T>)
struct BlockTraits<T> {
  template <std::size_t... I>
  static constexpr bool dense(std::index_sequence<I...>) {
    return sizeof...(I) > 0 && (BlockTraits<field_type<T, I>>::plain && ...) &&
           (sizeof(field_type<T, I>) + ... + 0) == sizeof(T);
  }
  template <std::size_t... I>
  static constexpr NaturalLayout lay_out(std::index_sequence<I...>) {
    NaturalLayout all{0, 1, true};
    std::size_t used = 0;
    bool fixed = sizeof...(I) > 0;
    [[maybe_unused]] const auto add = [&](const NaturalLayout& part) {
      all.size = (all.size + part.align - 1) / part.align * part.align + part.size;
      all.align = part.align > all.align ? part.align : all.align;
      all.block = all.block && part.block;
      used += part.size;
      fixed = fixed && part.size > 0;
    };
    (add(BlockTraits<std::remove_cv_t<field_type<T, I>>>::natural), ...);
    if (!fixed) return {};
    all.size = (all.size + all.align - 1) / all.align * all.align;
    all.block = all.block && used == all.size;
    return all;
  }
  static constexpr auto fields = std::make_index_sequence<field_count<T>>();
  static constexpr NaturalLayout natural = lay_out(fields);
  static constexpr bool plain = std::is_trivially_copyable_v<T> && natural.block && dense(fields);
};

/// True if the schema says that elements form one block, and their memory layout is that block.
template <class T>
constexpr bool is_block() {
  return BlockTraits<T>::plain;
}

/// True if the schema says that elements form one block but their memory layout differs; they are
/// packed first.
template <class T>
constexpr bool packs_as_block() {
  return BlockTraits<T>::natural.block && !BlockTraits<T>::plain;
}

}  // namespace detail
}  // namespace hoist
