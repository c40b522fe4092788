// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/decoder.hpp>
#include <hoist/detail/encoder.hpp>
#include <hoist/limits.hpp>
#include <hoist/values.hpp>

#include <concepts>
#include <filesystem>
#include <iosfwd>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace hoist {

/// How to compress: `true` or a level 1-9 for the default method, a method's name, `{name, level}`,
/// or `false` / level 0 for not at all. Unset, the file's extension decides.
class Compression {
 public:
  Compression() = default;
  Compression(std::same_as<bool> auto on) : level_(on ? default_level : 0), set_(true) {}
  Compression(int level) : level_(level), set_(true) {}
  Compression(std::string_view codec, int level = default_level)
      : codec_(codec), level_(level), set_(true) {}
  Compression(const char* codec, int level = default_level)
      : Compression(std::string_view(codec), level) {}
  Compression(const std::string& codec, int level = default_level)
      : Compression(std::string_view(codec), level) {}

  static constexpr int default_level = 3;

  /// False where nothing was asked for.
  bool is_set() const noexcept { return set_; }
  bool is_off() const noexcept { return set_ && level_ == 0; }
  /// Empty where only a level was given.
  const std::string& codec() const noexcept { return codec_; }
  int level() const noexcept { return level_; }

 private:
  std::string codec_;
  int level_ = default_level;
  bool set_ = false;
};

/// What is done to elements before they are compressed inside a hoist container. A shuffle puts the
/// first bytes of all elements together, then the second ones, and so on: numbers compress several
/// times faster that way, and smaller.
enum class Filter : unsigned char {
  automatic,  ///< shuffle where a sample of the data says that it pays
  none,
  shuffle,  ///< for elements of 2 to 8 bytes (complex numbers: their parts); others are left alone
};

struct DumpOptions {
  /// Method and level; beats the extension.
  Compression compress = {};
  Filter filter = Filter::automatic;
  /// How many threads compress; 0: as many as there are usable cores.
  unsigned threads = 0;
  /// Wait until the data are on the disk before the file appears under its name.
  bool fsync = false;
};

/// How arrays come into memory: read, or mapped from the file without a copy.
enum class MmapMode : unsigned char {
  none,           ///< read into memory of their own
  read,           ///< mapped read-only: ask for Array<const T>
  copy_on_write,  ///< mapped; writes stay in this process
  read_write,     ///< mapped; writes change the file
  write,          ///< for open_array: a new file; in load the same as read_write
};

struct LoadOptions {
  MmapMode mmap = MmapMode::none;
  /// How many threads read and decompress; 0: as many as there are usable cores.
  unsigned threads = 0;
  Limits limits = {};
  /// Lets a pickle of joblib before 0.10 name .npy files beside it that hold its arrays. Only for
  /// files you trust as a folder: never outside of it, but any file in it may be named.
  bool companion_files = false;
};

namespace detail {

/// A value and how to encode or decode it: what the templates leave to the compiled library.
struct EncodeCall {
  const void* value;
  void (*run)(const void* value, Encoder& encoder);
};
struct DecodeCall {
  void* value;
  void (*run)(void* value, DecodeSource& source);
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

/// Contiguous elements as the std::vector they will be loaded as.
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
/// The file appears whole or not at all: an error, or the death of the process, leaves what was
/// there. Its format is the hoist container (docs/formats/container.md), compressed as `options`
/// or the extension say. Arrays and large vectors are written from where they lie, without a copy.
/// Throws BadArgument for options that can't be met and SystemError naming the path (disk full,
/// no permission, no such directory). Thread-safe; of several writers to one path the last to
/// finish wins.
template <class T>
void dump(const T& value, const std::filesystem::path& path, const DumpOptions& options = {}) {
  detail::dump_value(path, options, detail::schema_of<T>(), detail::encode_call(value));
}

/// Writes contiguous elements that somebody else owns, as a std::vector of them would be written:
/// load them as one. `std::span(range)` makes a span of any contiguous range.
template <class T, std::size_t N>
void dump(std::span<T, N> values, const std::filesystem::path& path,
          const DumpOptions& options = {}) {
  detail::dump_value(path, options, detail::schema_of<std::vector<std::remove_const_t<T>>>(),
                     detail::encode_call(values));
}
template <class T, std::size_t N>
void dump(std::span<T, N> values, std::ostream& out, const DumpOptions& options = {}) {
  detail::dump_value(out, options, detail::schema_of<std::vector<std::remove_const_t<T>>>(),
                     detail::encode_call(values));
}

/// Writes a value to a stream (file, memory, pipe, socket) as a hoist container. Several values may
/// follow one another. Compression, where asked for, is done inside the container, so that this
/// holds for compressed values too. Throws SystemError where the stream goes bad; what was written
/// by then stays written.
template <class T>
void dump(const T& value, std::ostream& out, const DumpOptions& options = {}) {
  detail::dump_value(out, options, detail::schema_of<T>(), detail::encode_call(value));
}

/// Reads a value that `dump` wrote.
///
/// `T` must have the type the file holds, member names included; types with the same encoding
/// (a vector for a list, a map for an unordered_map) are interchangeable. The format is found by
/// content, never by name. Throws NotFound, SystemError, WrongType (naming the difference) or
/// DamagedData; the file is untrusted input and never makes it crash or allocate more than the data
/// that are there justify. Mapped arrays are not checked against their checksums. Thread-safe.
template <class T>
T load(const std::filesystem::path& path, const LoadOptions& options = {}) {
  static_assert(std::default_initializable<T>, "load() makes an empty T and fills it");
  T value{};
  detail::load_value(path, options, detail::schema_of<T>(), detail::decode_call(value));
  return value;
}

/// Reads the next value from a stream, which need not be seekable.
///
/// Of a hoist container not a byte beyond its end is taken, so values dumped one after another are
/// loaded one after another. A compressed stream (of gzip, say) is read to its own end and must hold
/// one value. Lengths beyond `LoadOptions::limits.max_bytes` are refused, since nothing tells how
/// much will follow. Nothing can be mapped. Errors as for files; at the end of the stream NotFound.
template <class T>
T load(std::istream& in, const LoadOptions& options = {}) {
  static_assert(std::default_initializable<T>, "load() makes an empty T and fills it");
  T value{};
  detail::load_value(in, options, detail::schema_of<T>(), detail::decode_call(value));
  return value;
}

}  // namespace hoist
