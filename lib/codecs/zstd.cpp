// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/error.hpp>

#include <zstd.h>

#include <new>
#include <string>

#include "codecs/builtin.hpp"

namespace hoist::detail {

namespace {

/// hoist's 1-9 on zstd's 1-19: 9 is the strongest that still takes ordinary memory.
int zstd_level(int level) {
  constexpr int map[] = {1, 1, 2, 3, 5, 7, 9, 12, 15, 19};
  return map[level];
}

struct FreeContext {
  void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
  void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
};

void check(std::size_t result, const char* what) {
  if (ZSTD_isError(result)) throw DamagedData(std::string(what) + ": " + ZSTD_getErrorName(result));
}

class ZstdSink final : public ByteSink {
 public:
  ZstdSink(ByteSink& out, int level)
      : out_(out), context_(ZSTD_createCCtx()), buffer_(ZSTD_CStreamOutSize()) {
    if (!context_) throw std::bad_alloc();
    ZSTD_CCtx_setParameter(context_.get(), ZSTD_c_compressionLevel, zstd_level(level));
    ZSTD_CCtx_setParameter(context_.get(), ZSTD_c_checksumFlag, 1);
  }
  void write(std::span<const std::byte> bytes) override {
    ZSTD_inBuffer in{bytes.data(), bytes.size(), 0};
    while (in.pos < in.size) run(in, ZSTD_e_continue);
  }
  void finish() override {
    ZSTD_inBuffer in{nullptr, 0, 0};
    while (run(in, ZSTD_e_end) != 0) {
    }
  }

 private:
  std::size_t run(ZSTD_inBuffer& in, ZSTD_EndDirective mode) {
    ZSTD_outBuffer out{buffer_.data(), buffer_.size(), 0};
    const std::size_t left = ZSTD_compressStream2(context_.get(), &out, &in, mode);
    check(left, "zstd failed to compress");
    out_.write({buffer_.data(), out.pos});
    return left;
  }

  ByteSink& out_;
  std::unique_ptr<ZSTD_CCtx, FreeContext> context_;
  std::vector<std::byte> buffer_;
};

class ZstdSource final : public ByteSource {
 public:
  explicit ZstdSource(ByteSource& in)
      : in_(in), context_(ZSTD_createDCtx()), buffer_(ZSTD_DStreamInSize()) {
    if (!context_) throw std::bad_alloc();
  }

  std::size_t read(std::byte* to, std::size_t n) override {
    ZSTD_outBuffer out{to, n, 0};
    while (out.pos < out.size) {
      if (data_.pos == data_.size) {
        data_ = {buffer_.data(), in_.read(buffer_.data(), buffer_.size()), 0};
        if (data_.size == 0 && !inside_frame_) break;
      }
      const std::size_t before = out.pos;
      const std::size_t hint = ZSTD_decompressStream(context_.get(), &out, &data_);
      check(hint, "the zstd data are damaged");
      inside_frame_ = hint != 0;
      // At the end of the input the decoder may still hold output; without any, a part is missing.
      if (data_.size == 0 && out.pos == before) throw DamagedData("the zstd data are cut short");
    }
    return out.pos;
  }

 private:
  ByteSource& in_;
  std::unique_ptr<ZSTD_DCtx, FreeContext> context_;
  std::vector<std::byte> buffer_;
  ZSTD_inBuffer data_{nullptr, 0, 0};
  bool inside_frame_ = true;
};

class Zstd final : public Codec {
 public:
  std::string_view name() const override { return "zstd"; }
  std::string_view extension() const override { return ".zst"; }
  std::string_view magic() const override { return "\x28\xb5\x2f\xfd"; }

  std::unique_ptr<ByteSink> compressor(ByteSink& out, int level) const override {
    return std::make_unique<ZstdSink>(out, level);
  }
  std::unique_ptr<ByteSource> decompressor(ByteSource& in) const override {
    return std::make_unique<ZstdSource>(in);
  }

  void compress_block(std::span<const std::byte> block, int level,
                      std::vector<std::byte>& out) const override {
    thread_local const std::unique_ptr<ZSTD_CCtx, FreeContext> context(ZSTD_createCCtx());
    if (!context) throw std::bad_alloc();
    out.resize(ZSTD_compressBound(block.size()));
    const std::size_t size = ZSTD_compressCCtx(context.get(), out.data(), out.size(), block.data(),
                                               block.size(), zstd_level(level));
    check(size, "zstd failed to compress");
    out.resize(size);
  }
  void decompress_block(std::span<const std::byte> block, std::span<std::byte> to) const override {
    thread_local const std::unique_ptr<ZSTD_DCtx, FreeContext> context(ZSTD_createDCtx());
    if (!context) throw std::bad_alloc();
    const std::size_t size =
        ZSTD_decompressDCtx(context.get(), to.data(), to.size(), block.data(), block.size());
    check(size, "a compressed block is damaged");
    if (size != to.size()) throw DamagedData("a compressed block is shorter than it says");
  }
};

}  // namespace

const Codec& zstd_codec() {
  static const Zstd codec;
  return codec;
}

}  // namespace hoist::detail
