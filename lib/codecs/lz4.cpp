// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/error.hpp>

#include <lz4.h>
#include <lz4frame.h>
#include <lz4hc.h>

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

constexpr std::size_t chunk_bytes = std::size_t{4} << 20;  // the format's largest block
constexpr std::uint64_t max_unit_bytes = std::uint64_t{16} << 20;

/// hoist's 1-9 on lz4's scale: below 3 it is the fast method (negative: faster still), from 3 the
/// high-compression one, a hundred times slower; hence the default 3 is fast.
int lz4_level(int level) {
  constexpr std::array map{0, -8, -2, 0, 3, 4, 6, 8, 9, 12};
  return map[static_cast<std::size_t>(level)];
}

char* as_lz4(std::byte* bytes) { return reinterpret_cast<char*>(bytes); }
const char* as_lz4(const std::byte* bytes) { return reinterpret_cast<const char*>(bytes); }

struct FreeContext {
  void operator()(LZ4F_dctx* context) const { LZ4F_freeDecompressionContext(context); }
};
using Context = std::unique_ptr<LZ4F_dctx, FreeContext>;

Context make_context() {
  LZ4F_dctx* context = nullptr;
  if (LZ4F_isError(LZ4F_createDecompressionContext(&context, LZ4F_VERSION))) throw std::bad_alloc();
  return Context(context);
}

void compress_to(std::span<const std::byte> bytes, int level, std::vector<std::byte>& out) {
  LZ4F_preferences_t preferences{};
  preferences.frameInfo.blockSizeID = LZ4F_max4MB;
  preferences.frameInfo.blockMode = LZ4F_blockIndependent;
  preferences.frameInfo.contentChecksumFlag = LZ4F_contentChecksumEnabled;
  preferences.frameInfo.contentSize = bytes.size();
  preferences.compressionLevel = level;
  out.resize(LZ4F_compressFrameBound(bytes.size(), &preferences));
  const std::size_t size =
      LZ4F_compressFrame(out.data(), out.size(), bytes.data(), bytes.size(), &preferences);
  if (LZ4F_isError(size)) throw std::bad_alloc();  // the buffer suffices, so memory lacked
  out.resize(size);
}

class Lz4Sink final : public ChunkedSink {
 public:
  Lz4Sink(ByteSink& out, int level, unsigned threads)
      : ChunkedSink(out, chunk_bytes, threads), level_(lz4_level(level)) {}

 private:
  std::uint32_t compress(std::span<const std::byte> chunk,
                         std::vector<std::byte>& to) const override {
    compress_to(chunk, level_, to);
    return 0;
  }
  void write_single(std::span<const std::byte> all) override {
    std::vector<std::byte> frame;
    compress_to(all, level_, frame);
    out().write(frame);
  }

  int level_;
};

[[noreturn]] void throw_damaged(std::size_t code) {
  throw DamagedData(std::string("the lz4 data are damaged: ") + LZ4F_getErrorName(code));
}

class SequentialLz4 final : public ByteSource {
 public:
  explicit SequentialLz4(Input& input) : input_(input), context_(make_context()) {}

  std::size_t read(std::byte* to, std::size_t n) override {
    std::size_t done = 0;
    while (done < n) {
      const auto bytes = input_.some();
      if (bytes.empty() && !inside_frame_) break;
      std::size_t taken = bytes.size();
      std::size_t made = n - done;
      const std::size_t hint =
          LZ4F_decompress(context_.get(), to + done, &made, bytes.data(), &taken, nullptr);
      if (LZ4F_isError(hint)) throw_damaged(hint);
      input_.take(taken);
      done += made;
      inside_frame_ = hint != 0;
      if (bytes.empty() && made == 0) throw DamagedData("the lz4 data are cut short");
    }
    return done;
  }

 private:
  Input& input_;
  Context context_;
  bool inside_frame_ = false;
};

/// Frames that give their content's size are units; where each ends its blocks' heads tell.
class Lz4Source final : public ChunkedSource {
 public:
  using ChunkedSource::ChunkedSource;

 private:
  static constexpr std::uint64_t magic = 0x184D2204;

  Next next(Input& input, Unit& unit) override {
    const auto head = input.peek(15);
    if (head.empty()) {
      if (!any_) throw DamagedData("the lz4 data are cut short");
      return Next::end;
    }
    any_ = true;
    if (head.size() < 15 || base::little_endian(head.first(4)) != magic) return Next::sequential;
    const auto flags = std::to_integer<unsigned>(head[4]);
    const bool has_size = (flags & 0x08) != 0;
    if ((flags & 0xC0) != 0x40 || !has_size || (flags & 0x01) != 0) return Next::sequential;
    const std::uint64_t content = base::little_endian(head.subspan(6, 8));
    if (content > max_unit_bytes) return Next::sequential;
    std::size_t end = 15;
    for (std::size_t block = 1; block != 0;) {
      const auto bytes = input.peek(end + 4);
      if (bytes.size() < end + 4) return Next::sequential;
      block = static_cast<std::size_t>(base::little_endian(bytes.subspan(end, 4)) & 0x7FFFFFFF);
      end += 4 + block + (block != 0 && (flags & 0x10) != 0 ? 4 : 0);
      // Blocks never grow: what doesn't compress is stored.
      if (end > 64 + content + content / 1024) return Next::sequential;
    }
    end += (flags & 0x04) != 0 ? 4 : 0;
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
    thread_local const Context context = make_context();
    LZ4F_resetDecompressionContext(context.get());
    LZ4F_decompressOptions_t options{};
    options.stableDst = 1;
    std::span<const std::byte> left = unit.in;
    std::size_t done = 0;
    for (;;) {
      std::size_t taken = left.size();
      std::size_t made = unit.bytes - done;
      const std::size_t hint =
          LZ4F_decompress(context.get(), to + done, &made, left.data(), &taken, &options);
      if (LZ4F_isError(hint)) throw_damaged(hint);
      left = left.subspan(taken);
      done += made;
      if (hint == 0) break;
      if (taken == 0 && made == 0) throw DamagedData("the lz4 data are cut short");
    }
    if (done != unit.bytes || !left.empty())
      throw DamagedData("the lz4 data have another size than they say");
  }

  std::unique_ptr<ByteSource> sequential(Input& input) override {
    return std::make_unique<SequentialLz4>(input);
  }

  bool any_ = false;
};

class Lz4 final : public Codec {
 public:
  std::string_view extension() const override { return ".lz4"; }
  std::string_view magic() const override { return "\x04\x22\x4d\x18"; }
  bool recognises(std::span<const std::byte> first_bytes) const override {
    return Codec::recognises(behind_skippable_frames(first_bytes));
  }

  std::unique_ptr<ByteSink> compressor(ByteSink& out, int level, unsigned threads) const override {
    return std::make_unique<Lz4Sink>(out, level, threads);
  }
  std::unique_ptr<ByteSource> decompressor(ByteSource& in, unsigned threads) const override {
    return std::make_unique<Lz4Source>(in, threads);
  }

  // Blocks need no frame around them.
  void compress_block(std::span<const std::byte> block, int level,
                      std::vector<std::byte>& out) const override {
    const auto bytes = static_cast<int>(block.size());
    out.resize(static_cast<std::size_t>(LZ4_compressBound(bytes)));
    const int method = lz4_level(level);
    const auto room = static_cast<int>(out.size());
    const int size =
        method >= 3
            ? LZ4_compress_HC(as_lz4(block.data()), as_lz4(out.data()), bytes, room, method)
            : LZ4_compress_fast(as_lz4(block.data()), as_lz4(out.data()), bytes, room, 1 - method);
    if (size <= 0) throw std::bad_alloc();
    out.resize(static_cast<std::size_t>(size));
  }
  void decompress_block(std::span<const std::byte> block, std::span<std::byte> to) const override {
    const int size =
        LZ4_decompress_safe(as_lz4(block.data()), as_lz4(to.data()), static_cast<int>(block.size()),
                            static_cast<int>(to.size()));
    if (size < 0 || static_cast<std::size_t>(size) != to.size()) {
      throw DamagedData("a compressed block is damaged");
    }
  }
  std::optional<std::uint64_t> most_from(std::uint64_t compressed) const override {
    return compressed < std::uint64_t{1} << 50 ? std::optional(compressed * 256) : std::nullopt;
  }
};

}  // namespace

const Codec& lz4_codec() {
  static const auto& codec = *new Lz4;  // outlives static objects
  return codec;
}

}  // namespace hoist::detail::codecs
