// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/error.hpp>

#include <lzma.h>

#include <algorithm>
#include <new>
#include <string>

#include "codecs/builtin.hpp"
#include "codecs/input.hpp"
#include "os/run_parallel.hpp"

namespace hoist::detail::codecs {

namespace {

constexpr std::size_t buffer_bytes = std::size_t{256} << 10;
/// Memory for decoding one stream: dictionaries of 64 MiB, which preset 9 uses, and more.
constexpr std::uint64_t max_memory = std::uint64_t{128} << 20;
/// Additional memory per thread; blocks that need more are decoded one after another.
constexpr std::uint64_t max_thread_memory = std::uint64_t{64} << 20;

const std::uint8_t* as_lzma(const std::byte* bytes) {
  return reinterpret_cast<const std::uint8_t*>(bytes);
}
std::uint8_t* as_lzma(std::byte* bytes) { return reinterpret_cast<std::uint8_t*>(bytes); }

/// hoist's levels are liblzma's presets.
lzma_options_lzma preset(int level) {
  lzma_options_lzma options{};
  if (lzma_lzma_preset(&options, static_cast<std::uint32_t>(level))) {
    throw BadArgument("this liblzma has no preset " + std::to_string(level));
  }
  return options;
}

/// Owns a liblzma coder.
class Coder {
 public:
  Coder() = default;
  Coder(const Coder&) = delete;
  Coder& operator=(const Coder&) = delete;
  ~Coder() { lzma_end(&stream); }

  static void begun(lzma_ret state) {
    if (state == LZMA_MEM_ERROR) throw std::bad_alloc();
    if (state != LZMA_OK) throw BadArgument("liblzma does not take its options");
  }

  lzma_stream stream = LZMA_STREAM_INIT;
};

class LzmaSink final : public ByteSink {
 public:
  explicit LzmaSink(ByteSink& out) : out_(out), buffer_(buffer_bytes) {}

  void begin_xz(int level, unsigned threads) {
    lzma_options_lzma options = preset(level);
    const lzma_filter filters[] = {{LZMA_FILTER_LZMA2, &options}, {LZMA_VLI_UNKNOWN, nullptr}};
    lzma_mt parallel{};
    parallel.threads = threads;
    parallel.filters = filters;
    parallel.check = LZMA_CHECK_CRC64;
    // With twice the dictionary little is lost at the start of each block.
    parallel.block_size = std::max<std::uint64_t>(2 * std::uint64_t{options.dict_size}, 4 << 20);
    Coder::begun(lzma_stream_encoder_mt(&coder_.stream, &parallel));
  }
  void begin_alone(int level) {
    const lzma_options_lzma options = preset(level);
    Coder::begun(lzma_alone_encoder(&coder_.stream, &options));
  }

  void write(std::span<const std::byte> bytes) override {
    coder_.stream.next_in = as_lzma(bytes.data());
    coder_.stream.avail_in = bytes.size();
    while (coder_.stream.avail_in > 0) run(LZMA_RUN);
  }
  void finish() override {
    while (run(LZMA_FINISH) != LZMA_STREAM_END) {
    }
  }

 private:
  lzma_ret run(lzma_action action) {
    coder_.stream.next_out = as_lzma(buffer_.data());
    coder_.stream.avail_out = buffer_.size();
    const lzma_ret state = lzma_code(&coder_.stream, action);
    if (state == LZMA_MEM_ERROR) throw std::bad_alloc();
    if (state != LZMA_OK && state != LZMA_STREAM_END) {
      throw DamagedData("liblzma failed to compress");
    }
    out_.write({buffer_.data(), buffer_.size() - coder_.stream.avail_out});
    return state;
  }

  ByteSink& out_;
  std::vector<std::byte> buffer_;
  Coder coder_;
};

class LzmaSource final : public ByteSource {
 public:
  /// `threads` 0: LZMA alone; otherwise xz.
  LzmaSource(ByteSource& in, unsigned threads) : input_(in), threads_(threads) {}

  std::size_t read(std::byte* to, std::size_t n) override {
    std::size_t done = 0;
    while (done < n && !ended_) {
      const auto bytes = input_.some();
      if (!running_) {
        if (bytes.empty() && streams_ > 0) break;
        begin();
      }
      lzma_stream& stream = coder_.stream;
      stream.next_in = as_lzma(bytes.data());
      stream.avail_in = bytes.size();
      stream.next_out = as_lzma(to + done);
      stream.avail_out = n - done;
      const lzma_ret state = lzma_code(&stream, bytes.empty() ? LZMA_FINISH : LZMA_RUN);
      input_.take(bytes.size() - stream.avail_in);
      done = n - stream.avail_out;
      if (state == LZMA_STREAM_END) {
        running_ = false;
        ++streams_;
        ended_ = threads_ > 0;  // an xz decoder goes on to the end of the input by itself
      } else if (state != LZMA_OK) {
        fail(state);
      }
    }
    return done;
  }

 private:
  void begin() {
    if (threads_ == 0) {
      Coder::begun(lzma_alone_decoder(&coder_.stream, max_memory));
    } else {
      lzma_mt parallel{};
      parallel.flags = LZMA_CONCATENATED | LZMA_TELL_UNSUPPORTED_CHECK;
      parallel.threads = threads_;
      parallel.memlimit_stop = max_memory;
      parallel.memlimit_threading = max_memory + threads_ * max_thread_memory;
      Coder::begun(lzma_stream_decoder_mt(&coder_.stream, &parallel));
    }
    running_ = true;
  }

  [[noreturn]] static void fail(lzma_ret state) {
    switch (state) {
      case LZMA_MEM_ERROR: throw std::bad_alloc();
      case LZMA_MEMLIMIT_ERROR:
        throw LimitExceeded("the lzma data ask for more than 128 MiB to be decompressed");
      case LZMA_BUF_ERROR: throw DamagedData("the lzma data are cut short");
      case LZMA_FORMAT_ERROR:
        throw DamagedData("the lzma data hold bytes that belong to no stream");
      case LZMA_UNSUPPORTED_CHECK:
        throw DamagedData("the xz data have an unknown kind of checksum");
      default: throw DamagedData("the lzma data are damaged");
    }
  }

  Input input_;
  unsigned threads_;
  Coder coder_;
  std::size_t streams_ = 0;
  bool running_ = false;
  bool ended_ = false;
};

class Lzma final : public Codec {
 public:
  std::string_view extension() const override { return ".lzma"; }
  std::string_view magic() const override { return std::string_view("\x5d\0", 2); }
  /// The header has no magic number, so the dictionary and the size are checked, too.
  bool recognises(std::span<const std::byte> first) const override {
    if (!Codec::recognises(first) || first.size() < 13) return false;
    std::uint64_t dictionary = 0;
    std::uint64_t size = 0;
    for (std::size_t i = 4; i > 0; --i)
      dictionary = dictionary << 8 | std::to_integer<std::uint64_t>(first[i]);
    for (std::size_t i = 12; i > 4; --i)
      size = size << 8 | std::to_integer<std::uint64_t>(first[i]);
    const bool likely_size = size == ~std::uint64_t{0} || size < std::uint64_t{1} << 48;
    return likely_size && dictionary >= 4096;
  }

  std::unique_ptr<ByteSink> compressor(ByteSink& out, int level, unsigned) const override {
    auto sink = std::make_unique<LzmaSink>(out);
    sink->begin_alone(level);
    return sink;
  }
  std::unique_ptr<ByteSource> decompressor(ByteSource& in, unsigned) const override {
    return std::make_unique<LzmaSource>(in, 0);
  }
};

class Xz final : public Codec {
 public:
  std::string_view extension() const override { return ".xz"; }
  std::string_view magic() const override { return std::string_view("\xfd\x37zXZ\0", 6); }

  std::unique_ptr<ByteSink> compressor(ByteSink& out, int level, unsigned threads) const override {
    auto sink = std::make_unique<LzmaSink>(out);
    sink->begin_xz(level, os::transfer_threads(threads));
    return sink;
  }
  std::unique_ptr<ByteSource> decompressor(ByteSource& in, unsigned threads) const override {
    return std::make_unique<LzmaSource>(in, os::transfer_threads(threads));
  }

  void compress_block(std::span<const std::byte> block, int level,
                      std::vector<std::byte>& out) const override {
    lzma_options_lzma options = preset(level);
    // A dictionary larger than the data would only cost time and memory.
    options.dict_size = std::clamp<std::uint32_t>(static_cast<std::uint32_t>(block.size()),
                                                  LZMA_DICT_SIZE_MIN, options.dict_size);
    lzma_filter filters[] = {{LZMA_FILTER_LZMA2, &options}, {LZMA_VLI_UNKNOWN, nullptr}};
    out.resize(lzma_stream_buffer_bound(block.size()));
    std::size_t size = 0;
    if (lzma_stream_buffer_encode(filters, LZMA_CHECK_NONE, nullptr, as_lzma(block.data()),
                                  block.size(), as_lzma(out.data()), &size,
                                  out.size()) != LZMA_OK) {
      throw std::bad_alloc();
    }
    out.resize(size);
  }
  void decompress_block(std::span<const std::byte> block, std::span<std::byte> to) const override {
    std::uint64_t memory = max_memory;
    std::size_t taken = 0;
    std::size_t made = 0;
    const lzma_ret state =
        lzma_stream_buffer_decode(&memory, 0, nullptr, as_lzma(block.data()), &taken, block.size(),
                                  as_lzma(to.data()), &made, to.size());
    if (state == LZMA_MEM_ERROR) throw std::bad_alloc();
    if (state != LZMA_OK || taken != block.size() || made != to.size()) {
      throw DamagedData("a compressed block is damaged");
    }
  }
};

}  // namespace

const Codec& lzma_codec() {
  static const auto& codec = *new Lzma;  // outlives static objects
  return codec;
}

const Codec& xz_codec() {
  static const auto& codec = *new Xz;  // outlives static objects
  return codec;
}

}  // namespace hoist::detail::codecs
