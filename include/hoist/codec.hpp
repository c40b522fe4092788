// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/requirements.hpp>

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

/// A compression method. zlib, gzip, bz2, lzma, xz, lz4 and zstd are built in
/// (docs/formats/compression.md); derive from this class and call `register_codec` to add one.
/// Implementations are stateless and may be used from many threads.
class Codec {
 public:
  virtual ~Codec();

  /// The file extension that selects the method, with the dot; empty for none.
  virtual std::string_view extension() const = 0;
  /// The first bytes of every stream of this method, by which loading recognises it; not empty.
  virtual std::string_view magic() const = 0;
  /// True if the first bytes of a file (16 or more, unless the file is shorter) begin a stream of
  /// this method. By default: if they begin with `magic`.
  virtual bool recognises(std::span<const std::byte> first_bytes) const;

  /// Makes a sink that compresses into `out`, which must outlive it. `finish()` ends the stream but
  /// not `out`. `level` runs from 1 (fast) to 9 (small); the codec maps it to its own scale. It may
  /// use so many threads; 0 means one per usable core.
  virtual std::unique_ptr<ByteSink> compressor(ByteSink& out, int level,
                                               unsigned threads) const = 0;
  /// Makes a source of the decompressed bytes of `in`, which must outlive it. It reads concatenated
  /// streams to the end of `in` and verifies checksums. It throws DamagedData, also for bytes that
  /// belong to no stream, and must accept an `in` that yields one byte at a time.
  virtual std::unique_ptr<ByteSource> decompressor(ByteSource& in, unsigned threads) const = 0;

  /// Compresses one block into `out`, replacing its content. By default through `compressor`.
  virtual void compress_block(std::span<const std::byte> block, int level,
                              std::vector<std::byte>& out) const;
  /// Decompresses a block of exactly `to.size()` bytes. Throws DamagedData if the block holds
  /// another number. By default through `decompressor`.
  virtual void decompress_block(std::span<const std::byte> block, std::span<std::byte> to) const;

  /// The largest number of bytes that `compressed` bytes can expand to, if the method has a bound.
  virtual std::optional<std::uint64_t> most_from(std::uint64_t compressed) const;
};

/// Adds a compression method under the name that `DumpOptions::compress` takes (1 to 16
/// characters). Throws BadArgument if the name or the extension is taken, or if the magic is empty
/// or could be mistaken for that of another method or format. The codec stays registered until the
/// process ends. Thread-safe.
void register_codec(const std::string& name, std::shared_ptr<const Codec> codec);

/// The codec of that name. Throws BadArgument, which lists the known names, if there is none.
const Codec& find_codec(std::string_view name);
/// The name under which a codec is registered.
std::string codec_name(const Codec& codec);
/// The codec that a path's extension selects, or null.
const Codec* codec_for_extension(const std::filesystem::path& path);
/// The codec that recognises the first bytes of a file, or null.
const Codec* codec_for_content(std::span<const std::byte> first_bytes);

/// Reads the whole content of a file, decompressed if it begins with a known codec's stream. Throws
/// NotFound, SystemError or DamagedData.
std::string read_file(const std::filesystem::path& path);

}  // namespace hoist
