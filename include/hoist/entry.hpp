// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/requirements.hpp>

#include <hoist/digest.hpp>
#include <hoist/values.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace hoist {

/// A cached function that was called while a result was computed, by the computation itself, in
/// threads that it started or in tasks of its loops, or by what these called. The result is used as
/// long as that function is the same.
struct CacheDependency {
  /// Its name in the store: `<name>-<hash>`.
  std::string function;
  /// The digest of its code, or what stands for `CacheOptions::version`.
  std::string version;
  /// Where its code is: the linker's name of it, the file name of its executable or shared object,
  /// and what tells it from others of that name. Empty where the digest isn't of code.
  std::string symbol;
  std::string module;
  std::string scope;
  /// The CodeCheck.
  std::uint8_t check = 0;
  /// Of what the variables in its key held.
  Digest variables;
  /// Of the arguments of the first call, with these variables.
  Digest key;
};

/// What is kept beside a cached result. An entry is an ordinary hoist file
/// (docs/formats/entry.md): `hoist::load<EntryRecord<R>>(path)` reads it, and with
/// `.missing_members = MissingMembers::keep_default` also those written before there were tags.
struct EntryMetadata {
  /// The cached function's name: `CachedFunction::name`.
  std::string function;
  /// The arguments as text, each shortened to about 100 characters; large ones only by their shape.
  std::string arguments;
  /// When the computation ended, by the clock of its host.
  std::chrono::system_clock::time_point created = {};
  /// How long it took, without hashing and storing.
  std::chrono::nanoseconds duration = {};
  /// Where it ran, and with which version of this library.
  std::string host;
  std::string hoist_version;
  /// Sizes in bytes: of the arguments as hashed, of the result as encoded, before compression.
  std::uint64_t arguments_bytes = 0;
  std::uint64_t result_bytes = 0;
  /// The cached functions that it depends on, in no particular order.
  std::vector<CacheDependency> dependencies = {};
  /// `CacheOptions::tags`.
  std::vector<std::string> tags = {};
};

/// The value that an entry file holds, for programs that read entries with `load`.
template <class R>
struct EntryRecord {
  EntryMetadata metadata;
  /// The canonical encoding of the arguments if it is short, else empty.
  std::vector<unsigned char> arguments;
  R result;
};

/// Decides whether a stored result may still be used. Where it returns false or throws, the result
/// is computed anew and replaced. It may be called from many threads at once, once for each
/// look-up, with the entry's metadata only; it should be cheap.
using Validation = std::function<bool(const EntryMetadata&)>;

/// Makes results valid for that long after they were computed, and as long before, should the clock
/// have been set back since:
/// `memory.cache(f, {.validate = expires_after(std::chrono::hours(1))})`. Expired entries stay in
/// the store until they are replaced or evicted; see `SizeLimits::age_limit`.
[[nodiscard]] Validation expires_after(std::chrono::nanoseconds duration);

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
