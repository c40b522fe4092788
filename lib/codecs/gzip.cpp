// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/error.hpp>

#include <libdeflate.h>
#include <zlib.h>

#include <new>

#include "codecs/builtin.hpp"

namespace hoist::detail {

namespace {

constexpr std::size_t buffer_bytes = std::size_t{64} << 10;
constexpr int gzip_window = 15 + 16;  // zlib's way to say: 32 KiB window, gzip wrapper

Bytef* as_zlib(const std::byte* data) {
  return const_cast<Bytef*>(reinterpret_cast<const Bytef*>(data));
}

class GzipSink final : public ByteSink {
 public:
  GzipSink(ByteSink& out, int level) : out_(out), buffer_(buffer_bytes) {
    if (deflateInit2(&stream_, level, Z_DEFLATED, gzip_window, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
      throw std::bad_alloc();
    }
  }
  ~GzipSink() override { deflateEnd(&stream_); }

  void write(std::span<const std::byte> bytes) override {
    constexpr std::size_t most = std::size_t{1} << 30;  // zlib counts in 32 bits
    while (!bytes.empty()) {
      const auto piece = bytes.first(std::min(bytes.size(), most));
      stream_.next_in = as_zlib(piece.data());
      stream_.avail_in = static_cast<uInt>(piece.size());
      run(Z_NO_FLUSH);
      bytes = bytes.subspan(piece.size());
    }
  }
  void finish() override { run(Z_FINISH); }

 private:
  void run(int flush) {
    int state = Z_OK;
    do {
      stream_.next_out = as_zlib(buffer_.data());
      stream_.avail_out = static_cast<uInt>(buffer_.size());
      state = deflate(&stream_, flush);
      out_.write({buffer_.data(), buffer_.size() - stream_.avail_out});
    } while (flush == Z_FINISH ? state != Z_STREAM_END : stream_.avail_out == 0);
  }

  ByteSink& out_;
  std::vector<std::byte> buffer_;
  z_stream stream_{};
};

class GzipSource final : public ByteSource {
 public:
  explicit GzipSource(ByteSource& in) : in_(in), buffer_(buffer_bytes) {
    if (inflateInit2(&stream_, gzip_window) != Z_OK) throw std::bad_alloc();
  }
  ~GzipSource() override { inflateEnd(&stream_); }

  std::size_t read(std::byte* to, std::size_t n) override {
    std::size_t done = 0;
    while (done < n && !ended_) {
      if (stream_.avail_in == 0) {
        const std::size_t got = in_.read(buffer_.data(), buffer_.size());
        stream_.next_in = as_zlib(buffer_.data());
        stream_.avail_in = static_cast<uInt>(got);
        if (got == 0 && between_members_) {
          ended_ = true;
          break;
        }
      }
      if (between_members_ && members_ > 0 && inflateReset(&stream_) != Z_OK) throw std::bad_alloc();
      between_members_ = false;
      const auto room = static_cast<uInt>(std::min<std::size_t>(n - done, std::size_t{1} << 30));
      stream_.next_out = as_zlib(to + done);
      stream_.avail_out = room;
      const int state = inflate(&stream_, Z_NO_FLUSH);
      done += room - stream_.avail_out;
      if (state == Z_STREAM_END) {
        between_members_ = true;
        ++members_;
      } else if (state == Z_BUF_ERROR) {  // no progress: no input is left and no output held back
        throw DamagedData("the gzip data are cut short");
      } else if (state != Z_OK) {
        throw DamagedData(std::string("the gzip data are damaged: ") +
                          (stream_.msg != nullptr ? stream_.msg : "no further detail"));
      }
    }
    return done;
  }

 private:
  ByteSource& in_;
  std::vector<std::byte> buffer_;
  z_stream stream_{};
  bool between_members_ = false;
  std::size_t members_ = 0;
  bool ended_ = false;
};

class Gzip final : public Codec {
 public:
  std::string_view name() const override { return "gzip"; }
  std::string_view extension() const override { return ".gz"; }
  std::string_view magic() const override { return "\x1f\x8b"; }

  std::unique_ptr<ByteSink> compressor(ByteSink& out, int level) const override {
    return std::make_unique<GzipSink>(out, level);
  }
  std::unique_ptr<ByteSource> decompressor(ByteSource& in) const override {
    return std::make_unique<GzipSource>(in);
  }

  // Blocks need no interchange with other tools: raw deflate by libdeflate, 2-3 times zlib's speed.
  void compress_block(std::span<const std::byte> block, int level,
                      std::vector<std::byte>& out) const override {
    const std::unique_ptr<libdeflate_compressor, decltype(&libdeflate_free_compressor)> compressor(
        libdeflate_alloc_compressor(level), libdeflate_free_compressor);
    if (!compressor) throw std::bad_alloc();
    out.resize(libdeflate_deflate_compress_bound(compressor.get(), block.size()));
    out.resize(libdeflate_deflate_compress(compressor.get(), block.data(), block.size(), out.data(),
                                           out.size()));
  }
  void decompress_block(std::span<const std::byte> block, std::span<std::byte> to) const override {
    const std::unique_ptr<libdeflate_decompressor, decltype(&libdeflate_free_decompressor)>
        decompressor(libdeflate_alloc_decompressor(), libdeflate_free_decompressor);
    if (!decompressor) throw std::bad_alloc();
    if (libdeflate_deflate_decompress(decompressor.get(), block.data(), block.size(), to.data(),
                                      to.size(), nullptr) != LIBDEFLATE_SUCCESS) {
      throw DamagedData("a compressed block is damaged");
    }
  }
};

}  // namespace

const Codec& gzip_codec() {
  static const Gzip codec;
  return codec;
}

}  // namespace hoist::detail
