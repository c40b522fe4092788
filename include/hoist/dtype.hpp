// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/requirements.hpp>

#include <hoist/array.hpp>
#include <hoist/detail/form_array.hpp>
#include <hoist/detail/schema.hpp>

#include <array>
#include <bit>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hoist {

/// An IEEE half-precision number as arrays store it: 16 bits, converted to and from float. There is
/// no arithmetic; compute in float.
struct Float16 {
  std::uint16_t bits = 0;

  /// Zero.
  Float16() = default;
  /// Rounds to nearest, ties to even; values too large for 16 bits become infinity.
  explicit Float16(float value);
  /// The exact value.
  explicit operator float() const;
  friend bool operator==(Float16 a, Float16 b) { return float(a) == float(b); }
};

/// Text of at most `N` characters in place, padded with zeros: the element type of arrays of text.
/// With `char` it is NumPy's bytes type `S<N>`, with `char32_t` its text type `U<N>`.
template <std::size_t N, class Char = char>
struct FixedString {
  static_assert(N > 0 && (sizeof(Char) == 1 || sizeof(Char) == 4));
  std::array<Char, N> characters{};

  /// Empty.
  FixedString() = default;
  /// Copies the text. Throws BadArgument if it is longer than `N`.
  FixedString(std::basic_string_view<Char> text) {
    if (text.size() > N) {
      throw BadArgument("a FixedString of " + std::to_string(N) + " can't hold " +
                        std::to_string(text.size()) + " characters");
    }
    std::copy(text.begin(), text.end(), characters.begin());
  }
  FixedString(const Char* text) : FixedString(std::basic_string_view<Char>(text)) {}

  /// The text without the padding; valid as long as this object.
  std::basic_string_view<Char> view() const {
    std::size_t n = N;
    while (n > 0 && characters[n - 1] == Char{}) --n;
    return {characters.data(), n};
  }
  friend bool operator==(const FixedString&, const FixedString&) = default;
  /// Compares with text of any length, which need not fit.
  friend bool operator==(const FixedString& a, std::basic_string_view<Char> b) {
    while (!b.empty() && b.back() == Char{}) b.remove_suffix(1);
    return a.view() == b;
  }
  friend bool operator==(const FixedString& a, const Char* b) {
    return a == std::basic_string_view<Char>(b);
  }
  /// Orders by the text without the padding.
  friend auto operator<=>(const FixedString& a, const FixedString& b) {
    return a.view() <=> b.view();
  }
};

/// The type of an array's elements where it is known only at run time, as NumPy's dtype. A plain
/// value that is cheap to copy.
struct DType {
  struct Field;

  /// NumPy's kind character: b bool, i and u integers, f and c floats, S bytes, U text, M and m
  /// points in time and time spans (64-bit counts of `unit`), O any Python object, V raw bytes, a
  /// structure (`fields`) or a sub-array (`base`).
  char kind = 'V';
  /// True if the bytes of each number are in big-endian order.
  bool big_endian = false;
  /// Bytes per element.
  std::size_t itemsize = 0;
  std::string unit = {};  ///< of M and m: Y M W D h m s ms us ns ps fs as, or "generic"
  /// A time is a multiple of this many units.
  std::uint32_t unit_count = 1;
  /// The members of a structure; null for other types.
  std::shared_ptr<const std::vector<Field>> fields = nullptr;
  /// The element type of a sub-array; null for other types.
  std::shared_ptr<const DType> base = nullptr;
  Shape shape = {};  ///< extents of a sub-array

  /// The element type of `Array<T>`.
  template <class T>
  static DType of() {
    return of_schema(detail::schema_of<T>().text);
  }
  /// The element type that a schema string describes (docs/formats/schema.md). Throws BadArgument
  /// if no array can have it.
  static DType of_schema(const std::string& schema);

  /// True if the elements, or any field of them, are Python objects.
  bool has_objects() const;
  /// The deepest nesting of fields and sub-arrays.
  int depth() const;
  /// The type as NumPy writes it: `<f8`; structures as `{x: <f8, y: <i4 at 16; 24 bytes}`.
  std::string text() const;
  friend bool operator==(const DType& a, const DType& b);
};

/// One member of a structure: its name, its offset in bytes, its type, and NumPy's optional title.
struct DType::Field {
  std::string name;
  std::size_t offset = 0;
  DType type;
  std::string title = {};
};

}  // namespace hoist

// How Float16 and FixedString are encoded.
#include <hoist/detail/form_dtype.hpp>
