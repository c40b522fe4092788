// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/error.hpp>

#include <bzlib.h>

#include <algorithm>
#include <cstring>
#include <new>
#include <string>

#include "codecs/builtin.hpp"
#include "codecs/chunked.hpp"

namespace hoist::detail::codecs {

namespace {

/// A stream holds this many blocks of its level: enough that its own frame weighs nothing.
constexpr std::size_t blocks_a_stream = 4;
constexpr std::size_t block_bytes = 100'000;  // times the level
/// Streams of up to this many compressed bytes are decompressed side by side.
constexpr std::size_t max_unit_bytes = std::size_t{8} << 20;

/// A block of bzip2 holds 19 bytes less than its level says. Longer units would put these bytes
/// into a second block.
constexpr std::size_t bytes_a_block(int level) {
  return block_bytes * static_cast<std::size_t>(level) - 19;
}

char* as_bzip(const std::byte* bytes) {
  return const_cast<char*>(reinterpret_cast<const char*>(bytes));
}

void compress_to(std::span<const std::byte> bytes, int level, std::vector<std::byte>& out) {
  out.resize(bytes.size() + bytes.size() / 100 + 600 + 64);
  auto size = static_cast<unsigned>(out.size());
  // bzip2 takes no null pointer, not even for no bytes.
  const std::byte* from = bytes.empty() ? out.data() : bytes.data();
  const int state = BZ2_bzBuffToBuffCompress(as_bzip(out.data()), &size, as_bzip(from),
                                             static_cast<unsigned>(bytes.size()), level, 0, 0);
  if (state != BZ_OK) throw std::bad_alloc();  // the buffer suffices, so memory lacked
  out.resize(size);
}

class Bz2Sink final : public ChunkedSink {
 public:
  Bz2Sink(ByteSink& out, int level, unsigned threads)
      : ChunkedSink(out, blocks_a_stream * bytes_a_block(level), threads, bytes_a_block(level)),
        level_(level) {}

 private:
  std::uint32_t compress(std::span<const std::byte> chunk,
                         std::vector<std::byte>& to) const override {
    compress_to(chunk, level_, to);
    return 0;
  }
  void write_single(std::span<const std::byte> all) override {
    std::vector<std::byte> stream;
    compress_to(all, level_, stream);
    out().write(stream);
  }

  int level_;
};

/// One stream after another.
class BzipDecoder {
 public:
  BzipDecoder() = default;
  BzipDecoder(const BzipDecoder&) = delete;
  BzipDecoder& operator=(const BzipDecoder&) = delete;
  ~BzipDecoder() { stop(); }

  void start() {
    stop();
    stream_ = {};
    if (BZ2_bzDecompressInit(&stream_, 0, 0) != BZ_OK) throw std::bad_alloc();
    running_ = true;
  }
  bool running() const noexcept { return running_; }

  struct Step {
    std::size_t taken;
    std::size_t made;
  };
  /// Throws DamagedData; at the end of a stream it stops running.
  Step step(std::span<const std::byte> in, std::byte* to, std::size_t n) {
    constexpr std::size_t most = std::size_t{1} << 30;  // bzip2 counts in 32 bits
    stream_.next_in = as_bzip(in.data());
    stream_.avail_in = static_cast<unsigned>(std::min(in.size(), most));
    const unsigned given = stream_.avail_in;
    stream_.next_out = as_bzip(to);
    stream_.avail_out = static_cast<unsigned>(std::min(n, most));
    const unsigned room = stream_.avail_out;
    const int state = BZ2_bzDecompress(&stream_);
    const Step step{given - stream_.avail_in, room - stream_.avail_out};
    if (state == BZ_STREAM_END) {
      stop();
    } else if (state == BZ_MEM_ERROR) {
      throw std::bad_alloc();
    } else if (state != BZ_OK) {
      throw DamagedData("the bz2 data are damaged");
    }
    return step;
  }

 private:
  void stop() {
    if (running_) BZ2_bzDecompressEnd(&stream_);
    running_ = false;
  }

  bz_stream stream_{};
  bool running_ = false;
};

class SequentialBz2 final : public ByteSource {
 public:
  explicit SequentialBz2(Input& input) : input_(input) {}

  std::size_t read(std::byte* to, std::size_t n) override {
    std::size_t done = 0;
    while (done < n) {
      const auto bytes = input_.some();
      if (!decoder_.running()) {
        if (bytes.empty()) break;
        decoder_.start();
      }
      const auto step = decoder_.step(bytes, to + done, n - done);
      input_.take(step.taken);
      done += step.made;
      if (bytes.empty() && step.made == 0 && decoder_.running()) {
        throw DamagedData("the bz2 data are cut short");
      }
    }
    return done;
  }

 private:
  Input& input_;
  BzipDecoder decoder_;
};

/// Streams are found by the bytes that each begins with. The same bytes hardly occur inside a
/// stream by chance, but an attacker can put them there: then decompression of the part fails, and
/// the ordinary decoder takes over.
class Bz2Source final : public ChunkedSource {
 public:
  using ChunkedSource::ChunkedSource;

 private:
  // "BZh", the level, and the first block's mark.
  static constexpr std::string_view begin = "BZh";
  static constexpr std::string_view first_block = "\x31\x41\x59\x26\x53\x59";
  static constexpr std::size_t mark_bytes = 10;

  static bool begins_at(std::span<const std::byte> bytes, std::size_t at) {
    return std::memcmp(bytes.data() + at, begin.data(), begin.size()) == 0 &&
           std::memcmp(bytes.data() + at + 4, first_block.data(), first_block.size()) == 0;
  }

  Next next(Input& input, Unit& unit) override {
    auto bytes = input.peek(mark_bytes);
    if (bytes.empty()) {
      if (!any_) throw DamagedData("the bz2 data are cut short");
      return Next::end;
    }
    any_ = true;
    if (bytes.size() < mark_bytes || !begins_at(bytes, 0)) return Next::sequential;
    std::size_t end = 1;
    for (;;) {
      while (end + mark_bytes <= bytes.size()) {
        const void* found =
            std::memchr(bytes.data() + end, 'B', bytes.size() - mark_bytes + 1 - end);
        if (found == nullptr) {
          end = bytes.size() - mark_bytes + 1;
          break;
        }
        end = static_cast<std::size_t>(static_cast<const std::byte*>(found) - bytes.data());
        if (begins_at(bytes, end)) return take(input, bytes.first(end), unit);
        ++end;
      }
      if (bytes.size() > max_unit_bytes) return Next::sequential;
      const std::size_t had = bytes.size();
      bytes = input.peek(had + std::max(had, std::size_t{64} << 10));
      if (bytes.size() == had) return take(input, bytes, unit);  // the last
    }
  }

  static Next take(Input& input, std::span<const std::byte> bytes, Unit& unit) {
    if (bytes.size() > max_unit_bytes) return Next::sequential;
    unit.in.assign(bytes.begin(), bytes.end());
    // The size is not known; a guess on the low side just makes more units go together.
    unit.bytes = blocks_a_stream * block_bytes;
    unit.exact = false;
    input.take(bytes.size());
    return Next::unit;
  }

  void decompress(Unit& unit) const override {
    // What a stream of such a size may hold in sound files; beyond, it's read step by step.
    constexpr std::size_t most = 2 * blocks_a_stream * block_bytes * 9;
    unit.out.clear();
    unit.failed = true;
    BzipDecoder decoder;
    decoder.start();
    std::span<const std::byte> left = unit.in;
    try {
      while (decoder.running()) {
        const std::size_t had = unit.out.size();
        if (had >= most) return;
        unit.out.resize(had + block_bytes * 9);
        const auto step = decoder.step(left, unit.out.data() + had, unit.out.size() - had);
        unit.out.resize(had + step.made);
        left = left.subspan(step.taken);
        if (step.made == 0 && step.taken == 0 && decoder.running()) return;
      }
    } catch (const DamagedData&) {
      return;  // the ordinary decoder will judge
    }
    unit.failed = !left.empty();
  }

  std::unique_ptr<ByteSource> sequential(Input& input) override {
    return std::make_unique<SequentialBz2>(input);
  }

  bool any_ = false;
};

class Bz2 final : public Codec {
 public:
  std::string_view extension() const override { return ".bz2"; }
  std::string_view magic() const override { return "BZh"; }
  bool recognises(std::span<const std::byte> first) const override {
    return Codec::recognises(first) && first.size() > 3 && first[3] >= std::byte{'1'} &&
           first[3] <= std::byte{'9'};
  }

  std::unique_ptr<ByteSink> compressor(ByteSink& out, int level, unsigned threads) const override {
    return std::make_unique<Bz2Sink>(out, level, threads);
  }
  std::unique_ptr<ByteSource> decompressor(ByteSource& in, unsigned threads) const override {
    return std::make_unique<Bz2Source>(in, threads);
  }
};

}  // namespace

const Codec& bz2_codec() {
  static const auto& codec = *new Bz2;  // outlives static objects
  return codec;
}

}  // namespace hoist::detail::codecs
