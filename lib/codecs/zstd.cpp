// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/error.hpp>

#include <zstd.h>

#include <algorithm>
#include <array>
#include <new>
#include <string>

#include "base/little_endian.hpp"
#include "codecs/builtin.hpp"
#include "codecs/chunked.hpp"
#include "codecs/skippable.hpp"

namespace hoist::detail::codecs {

namespace {

/// hoist's 1-9 on zstd's 1-19: 9 is the strongest that still takes ordinary memory.
int zstd_level(int level) {
  constexpr std::array map{1, 1, 2, 3, 5, 7, 9, 12, 15, 19};
  return map[static_cast<std::size_t>(level)];
}

/// At least twice the window of its level, so that little is lost where frames begin anew.
std::size_t chunk_bytes(int level) {
  return (level <= 3 ? std::size_t{4} : level <= 6 ? std::size_t{8} : std::size_t{16}) << 20;
}

/// Frames up to this size are decompressed side by side, and need so much memory each.
constexpr std::uint64_t max_unit_bytes = std::uint64_t{16} << 20;

struct FreeContext {
  void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
  void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
};

ZSTD_CCtx* thread_compressor() {
  thread_local const std::unique_ptr<ZSTD_CCtx, FreeContext> context(ZSTD_createCCtx());
  if (!context) throw std::bad_alloc();
  return context.get();
}

ZSTD_DCtx* thread_decompressor() {
  thread_local const std::unique_ptr<ZSTD_DCtx, FreeContext> context(ZSTD_createDCtx());
  if (!context) throw std::bad_alloc();
  return context.get();
}

void check(std::size_t result, const char* what) {
  if (ZSTD_isError(result)) throw DamagedData(std::string(what) + ": " + ZSTD_getErrorName(result));
}

void compress_to(std::span<const std::byte> bytes, int level, bool with_checksum,
                 std::vector<std::byte>& out) {
  ZSTD_CCtx* context = thread_compressor();
  ZSTD_CCtx_reset(context, ZSTD_reset_session_and_parameters);
  ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, level);
  ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, with_checksum ? 1 : 0);
  out.resize(ZSTD_compressBound(bytes.size()));
  const std::size_t size =
      ZSTD_compress2(context, out.data(), out.size(), bytes.data(), bytes.size());
  check(size, "zstd failed to compress");
  out.resize(size);
}

class ZstdSink final : public ChunkedSink {
 public:
  ZstdSink(ByteSink& out, int level, unsigned threads)
      : ChunkedSink(out, chunk_bytes(level), threads), level_(zstd_level(level)) {}

 private:
  std::uint32_t compress(std::span<const std::byte> chunk,
                         std::vector<std::byte>& to) const override {
    compress_to(chunk, level_, true, to);
    return 0;
  }
  void write_single(std::span<const std::byte> all) override {
    std::vector<std::byte> frame;
    compress_to(all, level_, true, frame);
    out().write(frame);
  }

  int level_;
};

class SequentialZstd final : public ByteSource {
 public:
  explicit SequentialZstd(Input& input) : input_(input), context_(ZSTD_createDCtx()) {
    if (!context_) throw std::bad_alloc();
  }

  std::size_t read(std::byte* to, std::size_t n) override {
    ZSTD_outBuffer out{to, n, 0};
    while (out.pos < out.size) {
      const auto bytes = input_.some();
      if (bytes.empty() && !inside_frame_) break;
      ZSTD_inBuffer in{bytes.data(), bytes.size(), 0};
      const std::size_t before = out.pos;
      const std::size_t hint = ZSTD_decompressStream(context_.get(), &out, &in);
      check(hint, "the zstd data are damaged");
      input_.take(in.pos);
      inside_frame_ = hint != 0;
      // At the end of the input the decoder may still hold output; without any, a part is missing.
      if (bytes.empty() && out.pos == before) throw DamagedData("the zstd data are cut short");
    }
    return out.pos;
  }

 private:
  Input& input_;
  std::unique_ptr<ZSTD_DCtx, FreeContext> context_;
  bool inside_frame_ = false;
};

/// Frames that give their content's size are units; where each ends its blocks' heads tell.
class ZstdSource final : public ChunkedSource {
 public:
  using ChunkedSource::ChunkedSource;

 private:
  static constexpr std::uint64_t magic = 0xFD2FB528;
  static constexpr std::size_t max_skipped = std::size_t{1} << 20;

  Next next(Input& input, Unit& unit) override {
    for (;;) {
      const auto head = input.peek(18);
      if (head.empty()) {
        if (!any_) throw DamagedData("the zstd data are cut short");
        return Next::end;
      }
      if (head.size() < 8) return Next::sequential;
      if (!begins_skippable_frame(head)) break;
      const auto size = static_cast<std::size_t>(base::little_endian(head.subspan(4, 4)));
      if (size > max_skipped || input.peek(size + 8).size() < size + 8) return Next::sequential;
      input.take(size + 8);
      any_ = true;
    }
    any_ = true;
    const auto start = input.peek(18);
    if (start.size() < 5 || base::little_endian(start.first(4)) != magic) return Next::sequential;
    const auto flags = std::to_integer<unsigned>(start[4]);
    constexpr std::array<std::size_t, 4> id_bytes{0, 1, 2, 4};
    constexpr std::array<std::size_t, 4> size_bytes{0, 2, 4, 8};
    const bool single = (flags & 0x20) != 0;
    const unsigned size_code = flags >> 6;
    const std::size_t bytes_of_size = size_code == 0 && single ? 1 : size_bytes[size_code];
    const std::size_t size_at = 5 + (single ? 0 : 1) + id_bytes[flags & 3];
    if (bytes_of_size == 0 || start.size() < size_at + bytes_of_size) return Next::sequential;
    const std::uint64_t content =
        base::little_endian(start.subspan(size_at, bytes_of_size)) + (size_code == 1 ? 256 : 0);
    if (content > max_unit_bytes) return Next::sequential;
    std::size_t end = size_at + bytes_of_size;
    for (bool last = false; !last;) {
      const auto block = input.peek(end + 3);
      if (block.size() < end + 3) return Next::sequential;
      const auto block_head = static_cast<std::size_t>(base::little_endian(block.subspan(end, 3)));
      last = (block_head & 1) != 0;
      end += 3 + ((block_head >> 1 & 3) == 1 ? 1 : block_head >> 3);
      if (end > ZSTD_compressBound(content) + 64) return Next::sequential;
    }
    end += (flags & 4) != 0 ? 4 : 0;
    const auto frame = input.peek(end);
    if (frame.size() < end) return Next::sequential;
    unit.in.assign(frame.begin(), frame.begin() + static_cast<std::ptrdiff_t>(end));
    unit.bytes = content;
    unit.exact = true;
    input.take(end);
    return Next::unit;
  }

  void decompress(Unit& unit) const override {
    std::byte* to = unit.place;
    if (to == nullptr) {
      unit.out.resize(unit.bytes);
      to = unit.out.data();
    }
    const std::size_t size =
        ZSTD_decompressDCtx(thread_decompressor(), to, unit.bytes, unit.in.data(), unit.in.size());
    check(size, "the zstd data are damaged");
    if (size != unit.bytes) throw DamagedData("the zstd data are shorter than they say");
  }

  std::unique_ptr<ByteSource> sequential(Input& input) override {
    return std::make_unique<SequentialZstd>(input);
  }

  bool any_ = false;
};

class Zstd final : public Codec {
 public:
  std::string_view extension() const override { return ".zst"; }
  std::string_view magic() const override { return "\x28\xb5\x2f\xfd"; }
  bool recognises(std::span<const std::byte> first_bytes) const override {
    return Codec::recognises(behind_skippable_frames(first_bytes));
  }

  std::unique_ptr<ByteSink> compressor(ByteSink& out, int level, unsigned threads) const override {
    return std::make_unique<ZstdSink>(out, level, threads);
  }
  std::unique_ptr<ByteSource> decompressor(ByteSource& in, unsigned threads) const override {
    return std::make_unique<ZstdSource>(in, threads);
  }

  void compress_block(std::span<const std::byte> block, int level,
                      std::vector<std::byte>& out) const override {
    compress_to(block, zstd_level(level), false, out);
  }
  void decompress_block(std::span<const std::byte> block, std::span<std::byte> to) const override {
    const std::size_t size = ZSTD_decompressDCtx(thread_decompressor(), to.data(), to.size(),
                                                 block.data(), block.size());
    check(size, "a compressed block is damaged");
    if (size != to.size()) throw DamagedData("a compressed block is shorter than it says");
  }
};

}  // namespace

const Codec& zstd_codec() {
  static const auto& codec = *new Zstd;  // outlives static objects
  return codec;
}

}  // namespace hoist::detail::codecs
