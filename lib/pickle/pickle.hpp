// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/bytes.hpp>
#include <hoist/value.hpp>

#include <cstdint>
#include <deque>
#include <optional>
#include <unordered_set>
#include <vector>

#include "dynamic/conversion.hpp"
#include "dynamic/schema_parser.hpp"
#include "formats/input.hpp"

// Python's pickles and joblib's files; docs/formats/pickle.md says what hoist reads and writes.

namespace hoist::detail::pickle {

/// The result of a first pass over a pickle.
struct PickleOutline {
  /// A list, dict or set.
  struct Container {
    static constexpr std::uint32_t none = ~std::uint32_t{0};
    std::uint32_t size = none;    // items or entries; none: it can't be given part by part
    std::uint32_t parent = none;  // the container that it is an item or a value of
  };
  std::deque<Container> containers;  // in the order in which they begin
  std::vector<bool> fetched;         // the numbers in the memo that are ever fetched
};

/// Reads one pickle, with arrays as joblib puts them into the stream. Executes nothing: it knows a
/// fixed list of constructors and refuses all other names with UnsafeData. With an outline it keeps
/// only the memo entries that will be fetched.
Value read_pickle(formats::Input& in, const PickleOutline* outline = nullptr);

/// Makes an outline of the pickle, which it hardly checks. Returns nothing for damaged and for
/// unusual pickles.
std::optional<PickleOutline> survey_pickle(formats::Input& in);
/// As `read_pickle`, but lists, dicts and sets are passed piecewise where the outline allows it.
void give_pickle(formats::Input& in, const PickleOutline& outline, dynamic::ValueSink& to);

/// The pickle that stands for the elements in the .npy file of an array of objects.
Value read_object_array(formats::Input& in, const Shape& shape);

/// The lists, dicts, sets, tuples, arrays and bytes that occur in a value more than once.
std::unordered_set<const Value::Node*> repeated_parts(const Value& value);

/// Writes a file that every joblib from 0.11 on loads. `compressed`: the stream will be compressed,
/// so its arrays must not be declared mappable.
void write_pickle(ByteSink& out, const Value& value, bool compressed);
/// Likewise, from a decoder: only the current part is in memory.
void write_pickle(ByteSink& out, const dynamic::SchemaNode& schema, Decoder& decoder,
                  bool compressed);

}  // namespace hoist::detail::pickle
