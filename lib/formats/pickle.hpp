// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/bytes.hpp>
#include <hoist/value.hpp>

#include <filesystem>
#include <unordered_set>

#include "dynamic/schema_parser.hpp"
#include "formats/input.hpp"

// Python's pickles and the files of its joblib; what hoist takes and writes: docs/formats/pickle.md.

namespace hoist::detail {

/// Reads one pickle, with arrays as joblib puts them into the stream. Executes nothing: it knows a
/// fixed list of constructors and refuses all other names with UnsafeData.
Value read_pickle(Input& in);

/// The pickle that stands for the elements in the .npy file of an array of objects.
Value read_object_array(Input& in, const Shape& shape);

/// The lists, dicts, sets, tuples, arrays and bytes that occur in a value more than once.
std::unordered_set<const Value::Node*> repeated_parts(const Value& value);

/// Writes a file that every joblib from 0.11 on loads. `compressed`: the stream will be, so its
/// arrays must not promise to be mappable.
void write_pickle(ByteSink& out, const Value& value, bool compressed);
/// Likewise, as it comes out of a decoder: only the part at hand is in memory.
void write_pickle(ByteSink& out, const SchemaNode& schema, Decoder& decoder, bool compressed);

}  // namespace hoist::detail
