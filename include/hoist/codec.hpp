// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/bytes.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace hoist {

/// A compression method. There are zlib, gzip, bz2, lzma, xz, lz4 and zstd
/// (docs/formats/compression.md); derive from this and call `register_codec` to add one.
/// Implementations are stateless and may be used from many threads.
class Codec {
 public:
  virtual ~Codec();

  /// The file extension that selects it, with the dot; empty for none.
  virtual std::string_view extension() const = 0;
  /// The first bytes of every stream of it, by which loading recognises it; not empty.
  virtual std::string_view magic() const = 0;
  /// True where the first bytes of a file (16 or more, unless it is shorter) are the beginning of a
  /// stream of it. By default: where they begin with `magic`.
  virtual bool recognises(std::span<const std::byte> first_bytes) const;

  /// A sink that compresses into `out`, which must outlive it. `finish()` ends the stream but
  /// not `out`. Levels run from 1 (fast) to 9 (small), to be mapped to the method's own scale.
  virtual std::unique_ptr<ByteSink> compressor(ByteSink& out, int level,
                                               unsigned threads) const = 0;
  /// A source of the decompressed bytes of `in`, which must outlive it. Reads concatenated streams
  /// to the end of `in` and verifies checksums; throws DamagedData, also for bytes that belong to no
  /// stream. Must bear a source that yields one byte at a time.
  virtual std::unique_ptr<ByteSource> decompressor(ByteSource& in, unsigned threads) const = 0;

  /// Compresses one block into `out`, replacing its content. By default through `compressor`.
  virtual void compress_block(std::span<const std::byte> block, int level,
                              std::vector<std::byte>& out) const;
  /// Decompresses a block of exactly `to.size()` bytes; throws DamagedData where it holds another
  /// number. By default through `decompressor`.
  virtual void decompress_block(std::span<const std::byte> block, std::span<std::byte> to) const;

  /// How many bytes at most `compressed` bytes can become, if the method knows a bound.
  virtual std::optional<std::uint64_t> most_from(std::uint64_t compressed) const;
};

/// Adds a compression method under the name by which `DumpOptions::compress` asks for it (1 to 16
/// characters). Throws BadArgument if the name or the extension is taken, or if the magic is empty
/// or could be mistaken for another method's or format's. It stays for the process's life.
/// Thread-safe.
void register_codec(const std::string& name, std::shared_ptr<const Codec> codec);

/// The codec of that name; BadArgument listing the known ones if there is none.
const Codec& find_codec(std::string_view name);
/// The name under which a codec is known.
std::string codec_name(const Codec& codec);
/// The codec that a path's extension selects, or null.
const Codec* codec_for_extension(const std::filesystem::path& path);
/// The codec that recognises the first bytes of a file, or null.
const Codec* codec_for_content(std::span<const std::byte> first_bytes);

/// The whole content of a file, decompressed if it begins as a known codec's streams do. Throws
/// NotFound, SystemError or DamagedData.
std::string read_file(const std::filesystem::path& path);

}  // namespace hoist
