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

/// A value as an array: an array itself, a number, a text or a list of numbers. Throws BadArgument
/// naming `what` for anything else.
class NpyArray {
 public:
  NpyArray(const Value& value, const std::string& what);

  NpyHeader header() const { return {elements_.dtype, elements_.shape, elements_.order}; }
  std::size_t bytes() const { return elements_.nbytes(); }
  /// Passes all bytes of the elements to `take`. Those of text are made piece by piece.
  void each_piece(const std::function<void(std::span<const std::byte>)>& take) const;

 private:
  Value::Elements elements_;  // without data if `text_` is set
  std::optional<Value> text_;
};

void write_npy(ByteSink& out, const Value& value);

/// Reads the elements of an array of Python objects, which are a pickle behind the header.
using ObjectReader = Value (*)(Input& in, const Shape& shape);

/// `wanted`: the type that the value is for, if known. If it is text, a single element of dtype U
/// is read as text.
Value read_npy(Input& in, ObjectReader read_objects, const dynamic::SchemaNode* wanted = nullptr);

/// Writes members, deflated at that level (0: stored) by so many threads.
void write_npz(ByteSink& out, const Value& value, int level, unsigned threads);

/// What reading an archive needs to know besides its bytes.
struct NpzReading {
  const std::string& name;  // of the archive, for messages
  const LoadOptions& options;
  ObjectReader read_objects;
  const dynamic::SchemaNode* wanted = nullptr;
};
/// Reads the whole archive, which lies uncompressed in a file or in memory.
Value read_npz(os::FileSource& file, const NpzReading& reading);
Value read_npz(std::string_view bytes, const NpzReading& reading);

}  // namespace hoist::detail::formats
