// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/bytes.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "codecs/input.hpp"

namespace hoist::detail::codecs {

/// Compresses in independent chunks, on several threads. Large writes are compressed in place;
/// small ones are collected.
class ChunkedSink : public ByteSink {
 public:
  /// A chunk is a multiple of `least_bytes`: near the end of the data chunks get smaller, so that
  /// the threads finish together. 0: all chunks have the same size.
  ChunkedSink(ByteSink& out, std::size_t chunk_bytes, unsigned threads,
              std::size_t least_bytes = 0);
  void write(std::span<const std::byte> bytes) final;
  void finish() final;

 protected:
  /// Compresses a chunk, on any thread. The result is passed to `chunk_written`.
  virtual std::uint32_t compress(std::span<const std::byte> chunk,
                                 std::vector<std::byte>& out) const = 0;
  /// Called before the first chunk is written, if there is more than one.
  virtual void begin() {}
  virtual void chunk_written(std::uint32_t /*result*/, std::size_t /*bytes*/) {}
  /// Ends a stream of several chunks.
  virtual void end() {}
  /// Writes the whole data, if they are at most one chunk (or empty).
  virtual void write_single(std::span<const std::byte> all) = 0;

  ByteSink& out() const noexcept { return out_; }

 private:
  void run(std::span<const std::byte> first, std::span<const std::byte> bytes);

  ByteSink& out_;
  std::size_t chunk_bytes_;
  std::size_t least_bytes_;
  unsigned threads_;
  bool begun_ = false;
  std::vector<std::byte> gathered_;
};

/// Decompresses independent units on several threads, as far as the input consists of them; an
/// ordinary decoder handles the rest.
class ChunkedSource : public ByteSource {
 public:
  ChunkedSource(ByteSource& in, unsigned threads);
  std::size_t read(std::byte* to, std::size_t n) final;

 protected:
  enum class Next { unit, end, sequential };
  struct Unit {
    std::vector<std::byte> in;
    std::vector<std::byte> out;
    std::uint64_t bytes = 0;     // when decompressed; an upper bound unless `exact`
    bool exact = false;          // `bytes` is exact: the unit may be decompressed in place
    std::byte* place = nullptr;  // where
    std::uint32_t result = 0;    // checksum or the like
    int tag = 0;                 // for the framing
    bool failed = false;
  };

  /// Takes the next unit's bytes from the input. `sequential`: the rest is not a unit, and nothing
  /// of it is taken.
  virtual Next next(Input& input, Unit& unit) = 0;
  /// Decompresses to `place` (exactly `bytes`) or to `out`, on any thread. If that fails, throws
  /// DamagedData or, if the input may only have been divided wrongly, sets `failed`: the ordinary
  /// decoder then handles the unit and everything after it.
  virtual void decompress(Unit& unit) const = 0;
  /// Called in order, on the reading thread.
  virtual void unit_read(const Unit& /*unit*/, std::span<const std::byte> /*bytes*/) {}
  /// A decoder for the rest of the input.
  virtual std::unique_ptr<ByteSource> sequential(Input& input) = 0;

 private:
  std::size_t run(std::byte* to, std::size_t n);

  Input input_;
  unsigned threads_;
  std::vector<Unit> units_;
  std::vector<std::byte> rest_;  // decompressed and not yet asked for
  std::size_t rest_at_ = 0;
  bool ended_ = false;
  std::unique_ptr<ByteSource> sequential_;
};

}  // namespace hoist::detail::codecs
