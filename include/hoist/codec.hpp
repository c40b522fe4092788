// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/bytes.hpp>

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace hoist {

/// A compression method. Implementations are stateless and may be used from many threads.
/// Levels run from 1 (fast) to 9 (small) and are mapped to the method's own scale.
class Codec {
 public:
  virtual ~Codec();

  /// The name by which `DumpOptions::compress` asks for it.
  virtual std::string_view name() const = 0;
  /// The file extension that selects it, with the dot.
  virtual std::string_view extension() const = 0;
  /// The first bytes of every stream of it, by which loading recognises it; not empty.
  virtual std::string_view magic() const = 0;

  /// A sink that compresses into `out`, which must outlive it. `finish()` ends the stream but
  /// not `out`.
  virtual std::unique_ptr<ByteSink> compressor(ByteSink& out, int level) const = 0;
  /// A source of the decompressed bytes of `in`, which must outlive it. Reads concatenated
  /// streams to their end and verifies checksums; throws DamagedData.
  virtual std::unique_ptr<ByteSource> decompressor(ByteSource& in) const = 0;

  /// Compresses one block into `out`, replacing its content.
  virtual void compress_block(std::span<const std::byte> block, int level,
                              std::vector<std::byte>& out) const = 0;
  /// Decompresses a block of exactly `to.size()` bytes; throws DamagedData otherwise.
  virtual void decompress_block(std::span<const std::byte> block,
                                std::span<std::byte> to) const = 0;
};

/// The codec of that name; BadArgument listing the known ones if there is none.
const Codec& find_codec(std::string_view name);
/// The codec that a path's extension selects, or null.
const Codec* codec_for_extension(const std::filesystem::path& path);
/// The codec whose magic the bytes begin with, or null.
const Codec* codec_for_content(std::span<const std::byte> first_bytes);

/// The whole content of a file, decompressed if it begins with a known codec's magic. Throws
/// NotFound, SystemError or DamagedData.
std::string read_file(const std::filesystem::path& path);

}  // namespace hoist
