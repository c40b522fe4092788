// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>
#include <hoist/codec.hpp>
#include <hoist/error.hpp>

#include <string>
#include <vector>

#include "support/bytes.hpp"

using hoist::find_codec;
using support::compress;
using support::decompress;
using support::mib;
using support::sample_bytes;

TEST_CASE("every codec gives back what went in, whatever the size and the threads") {
  for (const auto& name : support::codec_names) {
    const hoist::Codec& codec = find_codec(name);
    for (const char kind : {'z', 'r', 't', 'w'}) {
      for (const std::size_t n : {std::size_t{0}, std::size_t{1}, std::size_t{1000}, mib - 1, mib,
                                  mib + 1, 3 * mib + 17}) {
        if (n > 2 * mib && (kind != 'w' || name == "lzma" || name == "xz")) continue;
        if (n == mib - 1 && kind != 't') continue;
        CAPTURE(name);
        CAPTURE(kind);
        CAPTURE(n);
        const std::string text = sample_bytes(kind, n);
        const std::string packed = compress(codec, text, 1, n % 2 == 0 ? 3 : 1);
        CHECK(hoist::codec_for_content(support::as_bytes(packed.substr(0, 64))) == &codec);
        CHECK((decompress(codec, packed, 3) == text));
        CHECK((decompress(codec, packed, 1) == text));
      }
    }
  }
}

TEST_CASE("with threads 0 every codec uses the usable cores") {
  for (const auto& name : support::codec_names) {
    CAPTURE(name);
    const hoist::Codec& codec = find_codec(name);
    for (const std::size_t n : {std::size_t{1000}, mib + 1}) {
      const std::string text = sample_bytes('w', n);
      CHECK((decompress(codec, compress(codec, text, 1, 0), 0) == text));
    }
  }
}

TEST_CASE("every level works, and none writes more than a little beyond the input") {
  const std::string text = sample_bytes('w', mib / 4) + sample_bytes('r', 5000);
  for (const auto& name : support::codec_names) {
    std::size_t first = 0;
    for (int level = 1; level <= 9; ++level) {
      CAPTURE(name);
      CAPTURE(level);
      const std::string packed = compress(find_codec(name), text, level);
      CHECK(packed.size() < text.size() + text.size() / 50 + 1000);
      CHECK((decompress(find_codec(name), packed) == text));
      if (level == 1) first = packed.size();
    }
    // With few repetitions a higher level may lose a percent, but no more.
    CHECK(compress(find_codec(name), text, 9).size() <= first + first / 50);
  }
}

TEST_CASE("blocks come back, and none of another size") {
  for (const auto& name : support::codec_names) {
    CAPTURE(name);
    const hoist::Codec& codec = find_codec(name);
    const std::string text = sample_bytes('w', 50'000);
    std::vector<std::byte> packed;
    codec.compress_block(support::as_bytes(text), 3, packed);
    std::string back(text.size(), '?');
    codec.decompress_block(packed, std::as_writable_bytes(std::span(back)));
    CHECK((back == text));
    back.resize(text.size() + 1);
    CHECK_THROWS_AS(codec.decompress_block(packed, std::as_writable_bytes(std::span(back))),
                    hoist::DamagedData);
    back.resize(text.size() - 1);
    CHECK_THROWS_AS(codec.decompress_block(packed, std::as_writable_bytes(std::span(back))),
                    hoist::DamagedData);
  }
}
