// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>
#include <hoist/array.hpp>
#include <hoist/dump.hpp>

#include <array>
#include <complex>
#include <cstring>
#include <sstream>
#include <string>
#include <vector>

#include "codecs/shuffle.hpp"
#include "support/bytes.hpp"
#include "support/temp_dir.hpp"

using hoist::Array;
using hoist::Filter;

namespace {

std::string packed(const auto& value, const hoist::DumpOptions& options) {
  std::ostringstream out;
  hoist::dump(value, out, options);
  return out.str();
}

template <class T>
T unpacked(const std::string& text, unsigned threads = 0) {
  std::istringstream in(text);
  return hoist::load<T>(in, {.threads = threads});
}

template <class T>
Array<T> walk(std::size_t n) {
  const std::string bytes = support::sample_bytes('w', n * sizeof(T) / 8 * 8 + 8);
  auto array = Array<T>::uninitialized({n});
  std::memcpy(static_cast<void*>(array.data()), bytes.data(), n * sizeof(T));
  return array;
}

using Three = std::array<unsigned char, 3>;
using Seven = std::array<unsigned char, 7>;

template <class T>
void check_filters() {
  for (const std::size_t n : {std::size_t{1}, std::size_t{700}, std::size_t{400'003}}) {
    const Array<T> array = walk<T>(n);
    for (const Filter filter : {Filter::automatic, Filter::none, Filter::shuffle}) {
      for (const char* codec : {"zstd", "lz4", "gzip"}) {
        for (const unsigned threads : {1U, 3U}) {
          const std::string text =
              packed(array, {.compress = codec, .filter = filter, .threads = threads});
          const auto back = unpacked<Array<T>>(text, threads);
          const bool same = std::memcmp(back.data(), array.data(), n * sizeof(T)) == 0;
          CHECK(same);
        }
      }
    }
  }
}

}  // namespace

TEST_CASE("shuffle and unshuffle are each other's reverse for all widths and sizes") {
  const std::string bytes = support::sample_bytes('r', 8 * 300);
  const auto* from = reinterpret_cast<const std::byte*>(bytes.data());
  for (std::size_t width = 2; width <= 8; ++width) {
    for (std::size_t n = 0; n < 300; n += 7) {
      std::vector<std::byte> planes(n * width + 1, std::byte{0x55});
      hoist::detail::codecs::shuffle(from, n, width, planes.data());
      bool right = planes.back() == std::byte{0x55};
      hoist::detail::codecs::Planes at{};
      for (std::size_t k = 0; k < width; ++k) {
        at[k] = planes.data() + k * n;
        for (std::size_t i = 0; i < n; ++i) right = right && at[k][i] == from[i * width + k];
      }
      std::vector<std::byte> back(n * width + 1, std::byte{0x55});
      hoist::detail::codecs::unshuffle(at, n, width, back.data());
      CHECK((right && std::equal(back.begin(), back.end() - 1, from) &&
             back.back() == std::byte{0x55}));
    }
  }
}

TEST_CASE("elements of every size come back, whatever the filter") {
  check_filters<unsigned char>();
  check_filters<std::uint16_t>();
  check_filters<Three>();
  check_filters<float>();
  check_filters<Seven>();
  check_filters<double>();
  check_filters<std::complex<double>>();
}

TEST_CASE("the automatic filter takes what packs smaller") {
  const auto doubles = walk<double>(1 << 18);
  const auto size = [&](const auto& value, Filter filter) {
    return packed(value, {.compress = true, .filter = filter}).size();
  };
  CHECK(size(doubles, Filter::shuffle) < size(doubles, Filter::none));
  CHECK(size(doubles, Filter::automatic) == size(doubles, Filter::shuffle));
  // Words of many lengths: nothing repeats every four bytes.
  std::string words;
  for (unsigned state = 1; words.size() < std::size_t{1} << 20;
       state = state * 1103515245 + 12345) {
    constexpr const char* dictionary[] = {"persistence ", "of ", "arrays ",     "memory, ",
                                          "loops\n",      "a ",  "compressor ", "because "};
    words += dictionary[state >> 16 & 7];
  }
  auto text = Array<std::uint32_t>::uninitialized({1 << 18});
  std::memcpy(text.data(), words.data(), text.nbytes());
  CHECK(size(text, Filter::none) < size(text, Filter::shuffle));
  CHECK(size(text, Filter::automatic) == size(text, Filter::none));
}

TEST_CASE(
    "a compressed container cut or changed anywhere is refused, with every codec and filter") {
  const Array<double> value = walk<double>(700);
  for (const std::string& codec : support::codec_names) {
    for (const Filter filter : {Filter::none, Filter::shuffle}) {
      CAPTURE(codec);
      const std::string good = packed(value, {.compress = codec, .filter = filter});
      for (std::size_t i = 0; i < good.size(); ++i) {
        CHECK_THROWS_AS(unpacked<Array<double>>(good.substr(0, i)), hoist::Error);
        std::string bad = good;
        bad[i] = static_cast<char>(bad[i] ^ (i % 2 == 0 ? 0x01 : 0xFF));
        try {
          const auto got = unpacked<Array<double>>(bad);
          CHECK(std::memcmp(got.data(), value.data(), value.nbytes()) == 0);
        } catch (const hoist::Error&) {
        }
      }
    }
  }
}

TEST_CASE("lengths that nothing justifies are refused before memory is taken") {
  const Array<double> value(hoist::Shape{std::size_t{1} << 20});
  const std::string text = packed(value, {});
  std::istringstream in(text);
  CHECK_THROWS_AS(hoist::load<Array<double>>(in, {.limits = {.max_bytes = 1 << 20}}),
                  hoist::LimitExceeded);
  const support::TempDir dir;
  hoist::dump(value, dir / "a.hoist", {.compress = true});
  CHECK_THROWS_AS(hoist::load<Array<double>>(dir / "a.hoist", {.limits = {.max_bytes = 100}}),
                  hoist::LimitExceeded);
  hoist::dump(value, dir / "a.gz");
  CHECK(hoist::load<Array<double>>(dir / "a.gz", {.limits = {.max_bytes = 100}}) == value);
}
