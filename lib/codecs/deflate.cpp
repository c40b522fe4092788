// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/error.hpp>

#include <libdeflate.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <new>
#include <string_view>

#include "codecs/bare_deflate.hpp"
#include "codecs/builtin.hpp"
#include "codecs/chunked.hpp"
#include "codecs/deflate_end.hpp"
#include "codecs/inflate.hpp"

// zlib and gzip. Joblib reads neither several gzip members nor anything after zlib data, so all
// chunks go into one deflate stream: they don't refer back beyond their beginning, and each ends
// with a mark of empty stored blocks that other readers skip. A mark right after the header tells
// hoist that the stream has this structure (docs/formats/compression.md).

namespace hoist::detail::codecs {

namespace {

constexpr std::size_t chunk_bytes = std::size_t{1} << 20;
/// No compressed chunk takes more, its mark included.
constexpr std::size_t max_unit_bytes = chunk_bytes + (std::size_t{64} << 10);

/// The last bytes of two empty stored blocks of which the second begins at a byte's begin.
constexpr std::string_view mark("\x00\x00\xff\xff\x00\x00\x00\xff\xff", 9);
constexpr std::string_view gzip_header("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03", 10);
constexpr std::string_view zlib_header("\x78\x5e", 2);
constexpr std::string_view header_of(Wrapper wrapper) {
  return wrapper == Wrapper::gzip   ? gzip_header
         : wrapper == Wrapper::zlib ? zlib_header
                                    : std::string_view("");
}
/// An empty block, marked as the last.
constexpr std::string_view last_block("\x03\x00", 2);

std::span<const std::byte> bytes_of(std::string_view text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}
bool begins_with(std::span<const std::byte> bytes, std::string_view text) {
  return bytes.size() >= text.size() && std::memcmp(bytes.data(), text.data(), text.size()) == 0;
}

/// libdeflate's 1-12, of which 3 packs as small as zlib's 3 and 9 smaller than its 9.
int libdeflate_level(int level) {
  constexpr std::array map{0, 1, 2, 3, 4, 5, 6, 7, 9, 12};
  return map[static_cast<std::size_t>(level)];
}

using Compressor = std::unique_ptr<libdeflate_compressor, decltype(&libdeflate_free_compressor)>;
Compressor make_compressor(int level) {
  Compressor made(libdeflate_alloc_compressor(libdeflate_level(level)), libdeflate_free_compressor);
  if (!made) throw std::bad_alloc();
  return made;
}

libdeflate_decompressor* thread_decompressor() {
  thread_local const std::unique_ptr<libdeflate_decompressor,
                                     decltype(&libdeflate_free_decompressor)>
      made(libdeflate_alloc_decompressor(), libdeflate_free_decompressor);
  if (!made) throw std::bad_alloc();
  return made.get();
}

void deflate_to(std::span<const std::byte> bytes, int level, std::vector<std::byte>& out) {
  const Compressor compressor = make_compressor(level);
  out.resize(libdeflate_deflate_compress_bound(compressor.get(), bytes.size()));
  out.resize(libdeflate_deflate_compress(compressor.get(), bytes.data(), bytes.size(), out.data(),
                                         out.size()));
}

class DeflateSink final : public ChunkedSink {
 public:
  DeflateSink(Wrapper wrapper, ByteSink& out, int level, unsigned threads)
      : ChunkedSink(out, chunk_bytes, threads),
        wrapper_(wrapper),
        level_(level),
        state_(InflateState::at_start(wrapper)) {}

 private:
  std::uint32_t compress(std::span<const std::byte> chunk,
                         std::vector<std::byte>& to) const override {
    deflate_to(chunk, level_, to);
    open_deflate_end(to);
    return wrapper_checksum(wrapper_, chunk);
  }
  void begin() override {
    out().write(bytes_of(header_of(wrapper_)));
    constexpr std::byte empty_block{0};
    out().write({&empty_block, 1});
    out().write(bytes_of(mark));
  }
  void chunk_written(std::uint32_t checksum, std::size_t bytes) override {
    state_.add_sum(wrapper_, bytes, checksum);
  }
  void end() override {
    out().write(bytes_of(last_block));
    out().write(state_.trailer(wrapper_));
  }
  void write_single(std::span<const std::byte> all) override {
    std::vector<std::byte> to;
    if (wrapper_ == Wrapper::none) {
      deflate_to(all, level_, to);
      return out().write(to);
    }
    const Compressor compressor = make_compressor(level_);
    const bool gzip = wrapper_ == Wrapper::gzip;
    to.resize(gzip ? libdeflate_gzip_compress_bound(compressor.get(), all.size())
                   : libdeflate_zlib_compress_bound(compressor.get(), all.size()));
    to.resize((gzip ? libdeflate_gzip_compress : libdeflate_zlib_compress)(
        compressor.get(), all.data(), all.size(), to.data(), to.size()));
    out().write(to);
  }

  Wrapper wrapper_;
  int level_;
  InflateState state_;
};

class DeflateSource final : public ChunkedSource {
 public:
  DeflateSource(Wrapper wrapper, ByteSource& in, unsigned threads)
      : ChunkedSource(in, threads), wrapper_(wrapper) {}

 private:
  enum Tag { header, chunk, trailer };

  Next next(Input& input, Unit& unit) override {
    unit.bytes = 0;
    unit.exact = false;
    if (!parsing_inside_) {
      if (any_ && wrapper_ == Wrapper::gzip) skip_zeros(input);
      const std::string_view head = header_of(wrapper_);
      const std::size_t size = head.size() + 1 + mark.size();
      const auto bytes = input.peek(size);
      if (bytes.empty() && any_) return Next::end;
      any_ = true;
      if (bytes.size() < size || !begins_with(bytes, head) || bytes[head.size()] != std::byte{0} ||
          !begins_with(bytes.subspan(head.size() + 1), mark) ||
          (wrapper_ != Wrapper::gzip && ended_once_)) {
        return Next::sequential;
      }
      parsing_inside_ = true;
      return take(input, bytes.first(size), unit, header);
    }
    const std::size_t end_size = last_block.size() + trailer_bytes(wrapper_);
    const auto bytes = input.peek(end_size);
    if (bytes.size() < end_size) return Next::sequential;
    if (begins_with(bytes, last_block)) {
      parsing_inside_ = false;
      ended_once_ = true;
      return take(input, bytes.first(end_size), unit, trailer);
    }
    return next_chunk(input, unit);
  }

  static Next next_chunk(Input& input, Unit& unit) {
    std::size_t searched = 0;
    for (std::size_t wanted = std::size_t{64} << 10;;
         wanted = std::min(2 * wanted, max_unit_bytes)) {
      auto bytes = input.peek(wanted);
      bytes = bytes.first(std::min(bytes.size(), max_unit_bytes));
      const void* found = bytes.size() < mark.size()
                              ? nullptr
                              : ::memmem(bytes.data() + searched, bytes.size() - searched,
                                         mark.data(), mark.size());
      if (found != nullptr) {
        const auto end =
            static_cast<std::size_t>(static_cast<const std::byte*>(found) - bytes.data()) +
            mark.size();
        unit.bytes = chunk_bytes;
        return take(input, bytes.first(end), unit, chunk);
      }
      if (bytes.size() < wanted || wanted == max_unit_bytes) return Next::sequential;
      searched = bytes.size() - mark.size() + 1;
    }
  }

  static Next take(Input& input, std::span<const std::byte> bytes, Unit& unit, Tag tag) {
    unit.in.assign(bytes.begin(), bytes.end());
    unit.tag = tag;
    input.take(bytes.size());
    return Next::unit;
  }

  void decompress(Unit& unit) const override {
    unit.out.clear();
    if (unit.tag != chunk) return;
    unit.out.resize(chunk_bytes);
    const std::size_t size = unit.in.size();
    const auto last = bytes_of(last_block);
    unit.in.insert(unit.in.end(), last.begin(), last.end());
    std::size_t taken = 0;
    std::size_t made = 0;
    const auto state =
        libdeflate_deflate_decompress_ex(thread_decompressor(), unit.in.data(), unit.in.size(),
                                         unit.out.data(), unit.out.size(), &taken, &made);
    unit.failed = state != LIBDEFLATE_SUCCESS || taken != unit.in.size();
    unit.in.resize(size);
    if (unit.failed) return;
    unit.out.resize(made);
    unit.result = wrapper_checksum(wrapper_, unit.out);
  }

  void unit_read(const Unit& unit, std::span<const std::byte> bytes) override {
    switch (unit.tag) {
      case header:
        inside_ = true;
        state_ = InflateState::at_start(wrapper_);
        break;
      case chunk: state_.add(wrapper_, bytes, unit.result); break;
      default:
        inside_ = false;
        state_.check_trailer(wrapper_,
                             std::span<const std::byte>(unit.in).subspan(last_block.size()));
    }
  }

  std::unique_ptr<ByteSource> sequential(Input& input) override {
    if (!inside_ && ended_once_ && wrapper_ != Wrapper::gzip) {
      throw DamagedData("bytes follow the end of the compressed data");
    }
    return sequential_inflate(input, wrapper_, inside_ ? &state_ : nullptr);
  }

  Wrapper wrapper_;
  // As far as the input has been divided.
  bool any_ = false;
  bool parsing_inside_ = false;
  bool ended_once_ = false;
  // As far as it has been read.
  bool inside_ = false;
  InflateState state_;
};

class Deflate final : public Codec {
 public:
  explicit Deflate(Wrapper wrapper) : wrapper_(wrapper) {}

  std::string_view extension() const override { return wrapper_ == Wrapper::gzip ? ".gz" : ".z"; }
  std::string_view magic() const override {
    return wrapper_ == Wrapper::gzip ? "\x1f\x8b" : "\x78";
  }
  bool recognises(std::span<const std::byte> first) const override {
    if (!Codec::recognises(first) || first.size() < 2) return false;
    const auto flags = std::to_integer<unsigned>(first[1]);
    // zlib: the header's own check, and no preset dictionary.
    return wrapper_ == Wrapper::gzip || ((0x7800 | flags) % 31 == 0 && (flags & 0x20) == 0);
  }

  std::unique_ptr<ByteSink> compressor(ByteSink& out, int level, unsigned threads) const override {
    return std::make_unique<DeflateSink>(wrapper_, out, level, threads);
  }
  std::unique_ptr<ByteSource> decompressor(ByteSource& in, unsigned threads) const override {
    return std::make_unique<DeflateSource>(wrapper_, in, threads);
  }

  // Blocks need no interchange with other tools: raw deflate.
  void compress_block(std::span<const std::byte> block, int level,
                      std::vector<std::byte>& out) const override {
    deflate_to(block, level, out);
  }
  void decompress_block(std::span<const std::byte> block, std::span<std::byte> to) const override {
    if (libdeflate_deflate_decompress(thread_decompressor(), block.data(), block.size(), to.data(),
                                      to.size(), nullptr) != LIBDEFLATE_SUCCESS) {
      throw DamagedData("a compressed block is damaged");
    }
  }
  std::optional<std::uint64_t> most_from(std::uint64_t compressed) const override {
    return compressed < std::uint64_t{1} << 50 ? std::optional(compressed * 1032) : std::nullopt;
  }

 private:
  Wrapper wrapper_;
};

}  // namespace

std::unique_ptr<ByteSink> bare_deflater(ByteSink& out, int level, unsigned threads) {
  return std::make_unique<DeflateSink>(Wrapper::none, out, level, threads);
}

std::unique_ptr<ByteSource> bare_inflater(ByteSource& in, unsigned threads) {
  return std::make_unique<DeflateSource>(Wrapper::none, in, threads);
}

const Codec& gzip_codec() {
  static const auto& codec = *new Deflate(Wrapper::gzip);  // outlives static objects
  return codec;
}

const Codec& zlib_codec() {
  static const auto& codec = *new Deflate(Wrapper::zlib);  // outlives static objects
  return codec;
}

}  // namespace hoist::detail::codecs
