// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/requirements.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace hoist {

/// A destination of bytes: a file, a stream, or a compressor in front of one. Used by one thread at
/// a time.
class ByteSink {
 public:
  virtual ~ByteSink();
  /// Accepts all of `bytes`, or throws.
  virtual void write(std::span<const std::byte> bytes) = 0;
  /// Writes what is buffered and ends the stream. To be called once, after the last write.
  virtual void finish() {}
};

/// An origin of bytes: a file, a stream, or a decompressor behind one. Used by one thread at a
/// time.
class ByteSource {
 public:
  virtual ~ByteSource();
  /// Reads `n` bytes to `to` and returns their number, which is smaller only at the end of the
  /// source. Throws DamagedData if the source is damaged.
  virtual std::size_t read(std::byte* to, std::size_t n) = 0;
  /// An upper bound of the bytes that are left, where one is known.
  virtual std::optional<std::uint64_t> left() const { return std::nullopt; }
};

}  // namespace hoist
