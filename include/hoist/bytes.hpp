// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace hoist {

/// Somewhere bytes go: a file, a stream, a compressor in front of one. Not thread-safe.
class ByteSink {
 public:
  virtual ~ByteSink();
  /// Takes all of `bytes` or throws.
  virtual void write(std::span<const std::byte> bytes) = 0;
  /// Writes what is held back and ends the stream; to be called once, after the last write.
  virtual void finish() {}
};

/// Somewhere bytes come from. Not thread-safe.
class ByteSource {
 public:
  virtual ~ByteSource();
  /// Reads `n` bytes to `to`; fewer only where the source ends. Throws where it is damaged.
  virtual std::size_t read(std::byte* to, std::size_t n) = 0;
  /// How many bytes are left at most, where that is known.
  virtual std::optional<std::uint64_t> left() const { return std::nullopt; }
};

}  // namespace hoist
