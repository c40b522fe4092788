// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/values.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace hoist {

/// What is kept beside a cached result. An entry is an ordinary hoist file
/// (docs/formats/entry.md): `hoist::load<EntryRecord<R>>(path)` reads it.
struct EntryMetadata {
  /// The cached function's name.
  std::string function;
  /// The arguments as text, shortened.
  std::string arguments;
  /// When the computation ended.
  std::chrono::system_clock::time_point created = {};
  /// How long it took, without storing.
  std::chrono::nanoseconds duration = {};
  std::string host;
  std::string hoist_version;
  /// Sizes as hashed and as encoded, before compression.
  std::uint64_t arguments_bytes = 0;
  std::uint64_t result_bytes = 0;
};

/// The value an entry file holds.
template <class R>
struct EntryRecord {
  EntryMetadata metadata;
  /// The canonical encoding of the arguments if it is short, else empty.
  std::vector<unsigned char> arguments;
  R result;
};

/// Decides whether a stored result may still be used; it is computed anew where this says false.
using Validation = std::function<bool(const EntryMetadata&)>;

/// Results are valid for that long after they were computed:
/// `memory.cache(f, {.validate = expires_after(std::chrono::hours(1))})`.
Validation expires_after(std::chrono::nanoseconds duration);

namespace detail {

template <class R>
struct Form<EntryRecord<R>> : FormOf<R> {
  static void schema(SchemaWriter& writer) {
    if (!writer.enter(&type_tag<EntryRecord<R>>)) return;
    describe<EntryMetadata>(writer, "struct{metadata:", ",arguments:[u8],result:");
    describe<R>(writer, "", "}");
    writer.leave();
  }
  template <class Ar, class V>
  static void traverse(Ar& ar, V& entry) {
    const typename Ar::Depth depth(ar);
    ar(entry.metadata, entry.arguments, entry.result);
  }
};

}  // namespace detail
}  // namespace hoist
