// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/bytes.hpp>
#include <hoist/codec.hpp>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>
#include <span>
#include <string>

namespace support {

inline constexpr std::size_t mib = std::size_t{1} << 20;

/// The codecs that hoist brings along.
inline const std::string codec_names[] = {"zlib", "gzip", "bz2", "lzma", "xz", "lz4", "zstd"};

inline std::span<const std::byte> as_bytes(const std::string& text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}

/// Collects what is written.
class StringSink final : public hoist::ByteSink {
 public:
  void write(std::span<const std::byte> bytes) override {
    text.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }
  std::string text;
};

/// Yields at most `step` bytes at a time.
class StringSource final : public hoist::ByteSource {
 public:
  explicit StringSource(std::string text, std::size_t step = static_cast<std::size_t>(-1))
      : text_(std::move(text)), step_(step) {}
  std::size_t read(std::byte* to, std::size_t n) override {
    n = std::min({n, step_, text_.size() - at_});
    if (n > 0) std::memcpy(to, text_.data() + at_, n);
    at_ += n;
    return n;
  }
  std::optional<std::uint64_t> left() const override { return text_.size() - at_; }

 private:
  std::string text_;
  std::size_t step_;
  std::size_t at_ = 0;
};

/// Bytes of a kind: 'z' zeros, 'r' random, 't' text, 'w' doubles of a random walk.
inline std::string sample_bytes(char kind, std::size_t n, unsigned seed = 1) {
  std::mt19937_64 random(seed);
  std::string text(n, '\0');
  if (kind == 'r') {
    for (char& c : text) c = static_cast<char>(random());
  } else if (kind == 't') {
    for (char& c : text) c = "aaabbcdefgh ij\n.."[random() % 17];
  } else if (kind == 'w') {
    std::normal_distribution<double> step;
    double at = 0;
    for (std::size_t i = 0; i + 8 <= n; i += 8) {
      at += step(random);
      std::memcpy(text.data() + i, &at, 8);
    }
  }
  return text;
}

inline std::string compress(const hoist::Codec& codec, const std::string& text, int level = 3,
                            unsigned threads = 2, std::size_t step = static_cast<std::size_t>(-1)) {
  StringSink sink;
  const auto stream = codec.compressor(sink, level, threads);
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t n = std::min(step, text.size() - at);
    stream->write(as_bytes(text).subspan(at, n));
    at += n;
  }
  stream->finish();
  return sink.text;
}

inline std::string read_all(hoist::ByteSource& source, std::size_t piece = std::size_t{3} << 20) {
  std::string text;
  for (;;) {
    const std::size_t had = text.size();
    text.resize(had + piece);
    const std::size_t got = source.read(reinterpret_cast<std::byte*>(text.data() + had), piece);
    text.resize(had + got);
    if (got < piece) return text;
  }
}

inline std::string decompress(const hoist::Codec& codec, const std::string& text,
                              unsigned threads = 2, std::size_t step = static_cast<std::size_t>(-1),
                              std::size_t piece = std::size_t{3} << 20) {
  StringSource source(text, step);
  const auto stream = codec.decompressor(source, threads);
  return read_all(*stream, piece);
}

}  // namespace support
