// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "base/byte_streams.hpp"
#include "base/expansion.hpp"
#include "base/little_endian.hpp"
#include "base/quoted.hpp"

using namespace hoist::detail::base;

namespace {

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

std::string text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::string read(hoist::ByteSource& source, std::size_t n) {
  std::vector<std::byte> bytes(n);
  bytes.resize(source.read(bytes.data(), n));
  return text_of(bytes);
}

}  // namespace

TEST_CASE("a span is read to its end, what a vector sink got is in its vector") {
  SpanSource source(bytes_of("abcdef"));
  CHECK(source.left() == 6);
  CHECK(read(source, 4) == "abcd");
  CHECK(source.left() == 2);
  CHECK(read(source, 4) == "ef");
  CHECK(read(source, 4).empty());
  std::vector<std::byte> got;
  VectorSink sink(got);
  sink.write(bytes_of("ab"));
  sink.write(bytes_of("c"));
  CHECK(text_of(got) == "abc");
}

TEST_CASE("a peeked source shows what it then yields") {
  const std::string text = "0123456789";
  for (const std::size_t ahead : {0u, 1u, 3u, 4u, 64u}) {
    CAPTURE(ahead);
    SpanSource source(bytes_of(text));
    PeekedSource peeked(source, ahead);
    CHECK(text_of(peeked.peek(2)) == "01");
    CHECK(peeked.left() == 10);
    CHECK(read(peeked, 1) == "0");
    CHECK(text_of(peeked.peek(4)) == "1234");
    CHECK(read(peeked, 5) == "12345");
    CHECK(peeked.left() == 4);
    CHECK(text_of(peeked.some()).starts_with("6"));
    peeked.take(1);
    peeked.put_back(bytes_of("abc6"));
    CHECK(text_of(peeked.peek(6)) == "abc678");
    CHECK(text_of(peeked.peek(20)) == "abc6789");
    CHECK(read(peeked, 20) == "abc6789");
    CHECK(peeked.some().empty());
    CHECK(read(peeked, 1).empty());
  }
}

TEST_CASE("a peeked source without read-ahead takes just what is asked for") {
  SpanSource source(bytes_of("0123456789"));
  PeekedSource peeked(source);
  CHECK(text_of(peeked.peek(3)) == "012");
  CHECK(source.left() == 7);
  CHECK(read(peeked, 2) == "01");
  CHECK(text_of(peeked.peek(2)) == "23");
  CHECK(source.left() == 6);
  CHECK(read(peeked, 3) == "234");
  CHECK(source.left() == 5);
}

TEST_CASE("what several rooms write or compute alike") {
  CHECK(little_endian(bytes_of("\x01\x02\x03")) == 0x030201);
  CHECK(little_endian({}) == 0);
  CHECK(quoted("a/b") == "\"a/b\"");
  CHECK(expanded(2) == 2200);
  // The product of a large file's size used to overflow.
  CHECK(expanded(~std::uint64_t{0} / 1000) == ~std::uint64_t{0});
}
