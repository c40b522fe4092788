// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/requirements.hpp>

#include <hoist/compression.hpp>
#include <hoist/detail/decoder.hpp>
#include <hoist/detail/encoder.hpp>
#include <hoist/limits.hpp>
#include <hoist/mmap_mode.hpp>
#include <hoist/values.hpp>

#include <cstdlib>
#include <filesystem>
#include <iosfwd>
#include <optional>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

namespace hoist {

class Value;

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"  // g++ warns of hoist::automatic, which is no conflict
/// A transformation of elements before they are compressed inside a hoist container. A shuffle
/// stores the first bytes of all elements together, then the second bytes, and so on: numbers then
/// compress several times faster, and smaller.
enum class Filter : unsigned char {
  automatic,  ///< shuffle if a sample of the data compresses better that way
  none,
  shuffle,  ///< elements of 2 to 8 bytes (of complex numbers: their parts); others are unchanged
};
#pragma GCC diagnostic pop

/// Options of `dump`. Every field has a default.
struct DumpOptions {
  /// Method and level; takes precedence over the extension.
  Compression compress = {};
  Filter filter = Filter::automatic;
  /// Number of threads that compress; 0 means one per usable core.
  unsigned threads = 0;
  /// Wait until the data and the name are on the disk. Without it, a power failure in the next
  /// seconds may take a new file back, or leave it incomplete (which `load` notices); where a file
  /// is replaced, the old one or the new one is left.
  bool fsync = false;
};

/// What `load` does where a file lacks a member that the type asked for has.
enum class MissingMembers : unsigned char {
  error,         ///< WrongType, which names the member
  keep_default,  ///< leaves the member as the type's initializers make it
};
/// What `load` does with a member in the file that the type asked for doesn't have.
enum class UnknownMembers : unsigned char {
  error,  ///< WrongType, which names the member
  skip,
};

/// Options of `load`. Every field has a default.
struct LoadOptions {
  /// Arrays in uncompressed files can be mapped; for a compressed file this is a BadArgument.
  MmapMode mmap = MmapMode::none;
  /// The same by the name that the option has in Parallel, Memory and joblib; set one of the two.
  std::optional<MmapMode> mmap_mode = {};
  /// Number of threads that read and decompress; 0 means one per usable core.
  unsigned threads = 0;
  /// Upper bounds for untrusted input; see hoist/limits.hpp.
  Limits limits = {};
  /// Lets a pickle of joblib before 0.10 name .npy files beside it that hold its arrays. The pickle
  /// can name any file in its own folder, though none outside of it: use this only if you trust all
  /// of them.
  bool companion_files = false;
  /// For types that have changed since the file was written. With one of these set, the members of
  /// aggregates are matched by name, wherever in the value the aggregates are, and values are
  /// converted as docs/formats/schema.md says (an int32 is read as a double, for instance). A file
  /// of exactly the type asked for takes no more time; others are decoded twice.
  MissingMembers missing_members = MissingMembers::error;
  UnknownMembers unknown_members = UnknownMembers::error;
};

namespace detail {

/// A value and the function that encodes or decodes it: the interface between the templates and the
/// compiled library.
struct EncodeCall {
  const void* value;
  void (*run)(const void* value, Encoder& encoder);
};
struct DecodeCall {
  void* value;
  void (*run)(void* value, DecodeSource& source);
};

/// An error of the compiler, unless load<T>() can make a T.
template <class T, bool = requires { sizeof(T); }>
struct Loadable {
  // Before the errors, behind which clang would not see it.
  static constexpr bool value = std::is_default_constructible_v<T>;
  static_assert(sizeof(StorableCheck<T>) > 0);
  static_assert(value || !supported<T>(), "load() fills an empty T, but T has no default");
};
template <class T>
struct Loadable<T, false> {
  static constexpr bool value = false;
  static_assert(!std::is_same_v<T, Value>,
                "load() without a type returns a hoist::Value: #include <hoist/value.hpp>");
};

void dump_value(const std::filesystem::path& path, const DumpOptions& options, const Schema& schema,
                const EncodeCall& call);
void dump_value(std::ostream& out, const DumpOptions& options, const Schema& schema,
                const EncodeCall& call);
void load_value(const std::filesystem::path& path, const LoadOptions& options, const Schema& schema,
                const DecodeCall& call);
void load_value(std::istream& in, const LoadOptions& options, const Schema& schema,
                const DecodeCall& call);

template <class T>
EncodeCall encode_call(const T& value) {
  return {&value, [](const void* raw, Encoder& encoder) {
            Form<T>::traverse(encoder, *static_cast<const T*>(raw));
          }};
}

/// Contiguous elements, encoded as the std::vector that they will be loaded as.
template <class T, std::size_t N>
EncodeCall encode_call(const std::span<T, N>& values) {
  using Span = std::span<T, N>;
  return {&values, [](const void* raw, Encoder& encoder) {
            ContiguousForm<Span, std::remove_const_t<T>>::traverse(encoder,
                                                                   *static_cast<const Span*>(raw));
          }};
}

template <class T>
DecodeCall decode_call(T& value) {
  return {&value, [](void* raw, DecodeSource& source) { decode(source, *static_cast<T*>(raw)); }};
}

}  // namespace detail

/// Writes a value to a file.
///
/// The file appears completely or not at all: after an error, or the death of the process, the
/// previous content is still there. A power failure leaves the previous content or the new one, too
/// (on file systems other than ext4, btrfs and tmpfs, replacing a file waits for the disk for that
/// reason). The format is the hoist container (docs/formats/container.md), or what the extension
/// selects (.npy, .npz, .pkl, .pickle, .joblib), compressed as `options` or the extension say.
/// Arrays and large vectors are written from their own memory, without a copy. Throws BadArgument
/// for options that can't be met, a value that the format can't hold and an object of an
/// unregistered derived class; LimitExceeded for one nested more than 1000 deep; SystemError, which
/// names the path (disk full, no permission, no such directory). Thread-safe; if several writers
/// write to one path, the last to finish wins.
template <class T>
void dump(const T& value, const std::filesystem::path& path, const DumpOptions& options = {}) {
  static_assert(sizeof(detail::StorableCheck<T>) > 0);
  detail::dump_value(path, options, detail::schema_of<T>(), detail::encode_call(value));
}

/// Writes contiguous elements that somebody else owns. The file is that of a std::vector of the
/// same elements, and is loaded as one. `std::span(range)` makes a span of any contiguous range.
template <class T, std::size_t N>
void dump(std::span<T, N> values, const std::filesystem::path& path,
          const DumpOptions& options = {}) {
  detail::dump_value(path, options, detail::schema_of<std::vector<std::remove_const_t<T>>>(),
                     detail::encode_call(values));
}
/// Likewise, to a stream.
template <class T, std::size_t N>
void dump(std::span<T, N> values, std::ostream& out, const DumpOptions& options = {}) {
  detail::dump_value(out, options, detail::schema_of<std::vector<std::remove_const_t<T>>>(),
                     detail::encode_call(values));
}

/// Writes a value to a stream (file, memory, pipe, socket) as a hoist container. Several values may
/// follow one another; compression, if asked for, is inside each container, so this also holds for
/// compressed values. Throws SystemError if the stream fails; what was written before stays
/// written.
template <class T>
void dump(const T& value, std::ostream& out, const DumpOptions& options = {}) {
  static_assert(sizeof(detail::StorableCheck<T>) > 0);
  detail::dump_value(out, options, detail::schema_of<T>(), detail::encode_call(value));
}

/// Reads a value that `dump` wrote, or a .npy, .npz, pickle or joblib file. Without a type it is a
/// Value (hoist/value.hpp), which takes whatever the file holds.
///
/// `T` must have the type that the file holds, member names included; types with the same encoding
/// (a vector and a list, a map and an unordered_map) are interchangeable. A struct that has got new
/// members since is read with `missing_members = MissingMembers::keep_default`. The format is
/// recognised by content, never by name. Throws NotFound, SystemError, WrongType (which names the
/// difference), BadArgument (a mapping that the file doesn't allow) or DamagedData. The file is
/// untrusted input: no file makes `load` crash, or allocate more memory than its size and
/// `options.limits` justify. Mapped arrays are not checked against their checksums. Thread-safe.
template <class T = Value>
[[nodiscard]] T load(const std::filesystem::path& path, const LoadOptions& options = {}) {
  if constexpr (detail::Loadable<T>::value) {
    T value{};
    detail::load_value(path, options, detail::schema_of<T>(), detail::decode_call(value));
    return value;
  } else {
    std::abort();  // not compiled
  }
}

/// Reads the next value from a stream, which need not be seekable.
///
/// No byte beyond the end of a hoist container is consumed, so values dumped one after another can
/// be loaded one after another. A compressed stream (gzip, for instance) is read to its end and
/// must hold one value. Lengths above `LoadOptions::limits.max_bytes` are refused, because the size
/// of a stream is unknown. Nothing can be mapped. Throws the errors of the overload for files, and
/// NotFound at the end of the stream.
template <class T = Value>
[[nodiscard]] T load(std::istream& in, const LoadOptions& options = {}) {
  if constexpr (detail::Loadable<T>::value) {
    T value{};
    detail::load_value(in, options, detail::schema_of<T>(), detail::decode_call(value));
    return value;
  } else {
    std::abort();  // not compiled
  }
}

}  // namespace hoist
