// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>
#include <hoist/error.hpp>

#include <array>
#include <cstring>
#include <string>

#include "dynamic/elements.hpp"
#include "dynamic/text_builder.hpp"

using hoist::DamagedData;
using hoist::DType;
using hoist::Value;
namespace dynamic = hoist::detail::dynamic;

namespace {

std::string utf8(std::u32string_view text) {
  std::string bytes;
  for (const char32_t code : text) dynamic::append_code_point(bytes, code);
  return bytes;
}

/// The Latin-1 that `narrow` makes of the beginning of a text, and how much it read.
std::pair<std::string, std::size_t> narrowed(std::string text) {
  const auto [read, made] = dynamic::narrow(reinterpret_cast<std::byte*>(text.data()), text.size());
  return {text.substr(0, made), read};
}

Value built(std::u32string_view text) {
  dynamic::TextBuilder builder;
  for (const char32_t code : text) builder.add(code);
  return builder.text();
}

}  // namespace

TEST_CASE("code points of every length survive UTF-8") {
  const std::u32string text = U"a\u007F\u0080\u07FF\u0800\uFFFF\U00010000\U0010FFFF";
  CHECK(utf8(text).size() == 1 + 1 + 2 + 2 + 3 + 3 + 4 + 4);
  CHECK(dynamic::is_utf8(utf8(text)));
  CHECK(dynamic::code_points(utf8(text)) == text);
  CHECK(dynamic::count_code_points(utf8(text)) == text.size());
  CHECK(dynamic::is_utf8("\xED\xA0\x80"));  // Python's text can have surrogates
}

TEST_CASE("what is no UTF-8 is refused") {
  for (const char* text :
       {"\x80", "\xC0\x80", "\xC1\xBF", "\xC3", "\xC3(", "\xE0\x80\x80", "\xE2\x82",
        "\xF0\x80\x80\x80", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFF", "abc\xE2\x82"}) {
    CHECK_FALSE(dynamic::is_utf8(text));
    CHECK_THROWS_AS(dynamic::code_points(text), DamagedData);
  }
}

TEST_CASE("UTF-8 is decoded piece by piece") {
  const std::string text = utf8(U"a\u00E9\u20AC\U0001F600z");
  std::array<char32_t, 2> piece;
  std::size_t at = 0;
  CHECK(dynamic::decode_utf8(text, at, piece) == 2);
  CHECK(at == 3);
  CHECK(piece[1] == U'\u00E9');
  CHECK(dynamic::decode_utf8(text, at, piece) == 2);
  CHECK(piece[1] == U'\U0001F600');
  CHECK(dynamic::decode_utf8(text, at, piece) == 1);
  CHECK(at == text.size());
}

TEST_CASE("UTF-8 becomes Latin-1 up to what is none") {
  using Result = std::pair<std::string, std::size_t>;
  CHECK(narrowed("plain") == Result{"plain", 5});
  CHECK(narrowed(utf8(U"\u00E9\u00FF!")) == Result{"\xE9\xFF!", 5});
  CHECK(narrowed(utf8(U"a\u0100b")) == Result{"a", 1});
  CHECK(narrowed("a\xC3") == Result{"a", 1});  // cut
  CHECK(narrowed("a\xC3(") == Result{"a", 1});
}

TEST_CASE("Latin-1 becomes UTF-8") {
  const std::string latin1 = "a\xE9\xFF\x7F";
  auto storage = hoist::detail::allocate_storage(latin1.size(), hoist::detail::Fill::none);
  std::memcpy(storage->data(), latin1.data(), latin1.size());
  const std::size_t bytes = dynamic::widened_bytes(storage->data(), latin1.size());
  REQUIRE(bytes == 6);
  const auto wide = dynamic::widened(storage, latin1.size(), 100);
  CHECK(wide->bytes() >= 100);
  CHECK(std::string(reinterpret_cast<const char*>(wide->data()), bytes) == "a\u00E9\u00FF\x7F");
}

TEST_CASE("elements of text arrays become UTF-8 without their filling") {
  const DType four{.kind = 'U', .itemsize = 16};
  std::array<char32_t, 4> codes{U'h', U'\u20AC', 0, 0};
  CHECK(dynamic::text_of(four, reinterpret_cast<const std::byte*>(codes.data())) == "h\u20AC");
  DType big = four;
  big.big_endian = true;
  for (char32_t& code : codes) code = __builtin_bswap32(code);
  CHECK(dynamic::text_of(big, reinterpret_cast<const std::byte*>(codes.data())) == "h\u20AC");
  codes[1] = 0x110000;
  CHECK_THROWS_AS(dynamic::text_of(four, reinterpret_cast<const std::byte*>(codes.data())),
                  DamagedData);
  const char bytes[4] = {'a', '\0', 'b', '\0'};
  CHECK(dynamic::text_of(DType{.kind = 'S', .itemsize = 4},
                         reinterpret_cast<const std::byte*>(bytes)) == std::string("a\0b", 3));
}

TEST_CASE("a text builder takes any characters, few and many") {
  CHECK(built(U"").as_text() == "");
  CHECK(built(U"caf\u00E9").as_text() == "caf\u00E9");
  CHECK(built(U"\u20AC\u00E9a").as_text() == "\u20AC\u00E9a");
  for (const std::size_t n : {std::size_t{4095}, std::size_t{4096}, std::size_t{200000}}) {
    const std::u32string many(n, U'\u00E9');
    CHECK(built(many).as_text() == utf8(many));
    std::u32string more = many;
    more.append(U"\u20AC").append(many);
    CHECK(built(more).as_text() == utf8(more));
  }
}

TEST_CASE("a string of Python 2 is text if it is ASCII, else bytes") {
  for (const std::size_t n : {std::size_t{3}, std::size_t{10000}}) {
    dynamic::TextBuilder ascii, other;
    for (std::size_t i = 0; i < n; ++i) {
      ascii.add('a');
      other.add(0xE9);
    }
    CHECK(ascii.text_or_bytes().as_text() == std::string(n, 'a'));
    CHECK(other.text_or_bytes().as_bytes() == std::string(n, '\xE9'));
  }
}
