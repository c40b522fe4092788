// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/value.hpp>

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>

namespace hoist::detail::dynamic {

/// A number read off a Value of whatever kind: Python's own, a NumPy scalar, a 0-d array.
struct Number {
  Value::Kind kind;  // boolean, integer, natural, real, complex
  std::int64_t integer = 0;
  double real = 0;
  double imaginary = 0;
};
std::optional<Number> number_of(const Value& value);
/// The number in the bytes of one element; nothing for text, times, structures.
std::optional<Number> number_in(const DType& dtype, const std::byte* bytes);
/// Element `bytes` of `dtype` as a Value: a number, text, a dict of fields, else a scalar.
Value element_value(const DType& dtype, const std::byte* bytes);

/// Whether elements of both types lie alike in memory: all equal but for titles, and counts of time
/// as plain 64-bit integers.
bool same_layout(const DType& a, const DType& b);
/// Whether `from` can be turned into `to` by moving and swapping bytes alone.
bool repackable(const DType& from, const DType& to);
void repack(const DType& from, const std::byte* source, const DType& to, std::byte* target);
/// The type without padding, in little-endian order.
DType packed(const DType& dtype);
/// Calls `take` with every element in C order in the form `packed` describes, piece by piece.
void for_each_packed(const Value::Elements& elements,
                     const std::function<void(std::span<const std::byte>)>& take);
/// The same elements in another type's layout and in C or their own order; shares them where it
/// can. `give_up`: they have no other owner; their memory is released on the way, unless the order
/// changes.
Value::Elements converted(const Value::Elements& elements, const DType& to, bool c_order,
                          bool give_up = false);
/// Does the same in place; the elements must have no other owner. False where that is impossible:
/// their size changes, or they can't be written to.
bool convert_in_place(Value::Elements& elements, const DType& to, bool c_order);
/// True if some bool among the elements is neither 0 nor 1.
bool has_bad_bools(const Value::Elements& elements);
/// Releases the memory before an element; the elements must have no other owner.
void give_up_before(const Value::Elements& elements, std::size_t index);
/// A view of the elements at `index` of the first axis; C order only. `give_up`: the elements have
/// no other owner and rows are destroyed in order: each releases the memory up to its end.
Value::Elements row_of(const Value::Elements& elements, std::size_t index, bool give_up = false);
/// Text (UTF-8) from an element of dtype U or S. Throws DamagedData for what are no characters.
std::string text_of(const DType& dtype, const std::byte* bytes);
bool is_utf8(std::string_view text);
bool is_ascii(std::string_view text);
void append_code_point(std::string& text, char32_t code);
/// Throw DamagedData for what is no UTF-8.
std::u32string code_points(std::string_view text);
std::size_t count_code_points(std::string_view text);
/// Decodes the characters from `at` on, as many as fit; moves `at` behind them. Returns their
/// number.
std::size_t decode_utf8(std::string_view text, std::size_t& at, std::span<char32_t> to);
/// Turns UTF-8 into Latin-1 in place, up to the first character that Latin-1 lacks or that is cut.
/// Returns how many bytes were read, and how many written.
std::pair<std::size_t, std::size_t> narrow(std::byte* text, std::size_t n);
/// Latin-1 as UTF-8, in storage of at least `room` bytes. Text without other owners is released on
/// the way.
std::shared_ptr<Storage> widened(const std::shared_ptr<Storage>& text, std::size_t n,
                                 std::size_t room = 0);
std::size_t widened_bytes(const std::byte* text, std::size_t n);

}  // namespace hoist::detail::dynamic
