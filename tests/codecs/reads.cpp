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

TEST_CASE("small writes, reads of any size, and sources of a byte at a time make no difference") {
  const std::string text = sample_bytes('t', 700'000);
  const std::string long_text = sample_bytes('t', 9 * mib) + sample_bytes('w', mib);
  for (const auto& name : support::codec_names) {
    CAPTURE(name);
    const hoist::Codec& codec = find_codec(name);
    const std::string packed = compress(codec, text, 1, 2, 1000);
    CHECK((decompress(codec, packed, 2, 1, 777) == text));
    CHECK((decompress(codec, packed, 2, 7, 1) == text));
    if (name == "lzma" || name == "xz") continue;
    const std::string more = compress(codec, long_text, 1, 2, 300'001);
    CHECK((decompress(codec, more, 2, static_cast<std::size_t>(-1), 100'003) == long_text));
    CHECK((decompress(codec, more, 3, 4096, 20 * mib) == long_text));
  }
}

TEST_CASE("streams may follow one another where the format knows such") {
  const std::string one = sample_bytes('t', 3 * mib);
  const std::string two = sample_bytes('w', 100'000);
  const std::string all = one + two + one;
  for (const auto& name : support::codec_names) {
    CAPTURE(name);
    const hoist::Codec& codec = find_codec(name);
    std::string packed;
    for (const std::string& part : {one, two, std::string(), one}) {
      packed += compress(codec, part, 1);
    }
    if (name == "zlib") {
      CHECK_THROWS_AS(decompress(codec, packed), hoist::DamagedData);
    } else {
      CHECK((decompress(codec, packed) == all));
      CHECK((decompress(codec, packed, 1, 4001, 5000) == all));
    }
  }
}
