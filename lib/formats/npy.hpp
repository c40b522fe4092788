// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/bytes.hpp>
#include <hoist/value.hpp>

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "dynamic/schema_parser.hpp"
#include "formats/input.hpp"

// NumPy's .npy and .npz; what hoist takes and writes of them: docs/formats/npy.md.

namespace hoist::detail::formats {

inline constexpr std::string_view npy_magic = "\x93NUMPY";

/// What stands in front of an array's elements.
struct NpyHeader {
  DType dtype;
  Shape shape;
  Order order = Order::c;
};

/// Parses the dict in a header. Throws DamagedData or LimitExceeded.
NpyHeader parse_npy_header(std::string_view text, bool utf8);
/// The whole preamble, of a size that is a multiple of 64.
std::string npy_preamble(const NpyHeader& header);
/// A dtype as NumPy's `descr` has it. Throws BadArgument for one that .npy can't express (fields
/// that overlap or stand out of order).
std::string npy_descr(const DType& dtype);

/// A value as an array: what is one, or becomes one: numbers and text, lists of numbers. Throws BadArgument
/// naming `what` for anything else.
class NpyArray {
 public:
  NpyArray(const Value& value, const std::string& what);

  NpyHeader header() const { return {elements_.dtype, elements_.shape, elements_.order}; }
  std::size_t bytes() const { return elements_.nbytes(); }
  /// Hands over all bytes of the elements. Those of text are made piece by piece.
  void each_piece(const std::function<void(std::span<const std::byte>)>& take) const;

 private:
  Value::Elements elements_;  // without data where `text_` is there
  std::optional<Value> text_;
};

void write_npy(ByteSink& out, const Value& value);
/// `wanted`: the type that the value is for, where that is known. Where it is text, a single element of
/// dtype U is read as that.
Value read_npy(Input& in, const dynamic::SchemaNode* wanted = nullptr);

/// Members, deflated at that level (0: stored) by so many threads.
void write_npz(ByteSink& out, const Value& value, int level, unsigned threads);
/// Needs the whole file: `file` where it lies uncompressed on disk, else `bytes`.
Value read_npz(os::FileSource& file, const std::string& name, const LoadOptions& options,
               const dynamic::SchemaNode* wanted = nullptr);
Value read_npz(std::string_view bytes, const std::string& name, const LoadOptions& options,
               const dynamic::SchemaNode* wanted = nullptr);

}  // namespace hoist::detail::formats
