// SPDX-License-Identifier: BSD-3-Clause
#include "redis/reply.hpp"

#include <doctest/doctest.h>
#include <hoist/error.hpp>

#include <string>

#include "support/peak_memory.hpp"

using hoist::detail::base::PeekedSource;
using hoist::detail::base::SpanSource;
using hoist::detail::redis::Reply;
using hoist::detail::redis::ReplyReader;

namespace {

/// Gives at most so many bytes at a time, as a socket does.
class Dripping final : public hoist::ByteSource {
 public:
  Dripping(const std::string& text, std::size_t step)
      : bytes_(std::as_bytes(std::span(text))), step_(step) {}
  std::size_t read(std::byte* to, std::size_t n) override {
    return bytes_.read(to, std::min(n, step_));
  }

 private:
  SpanSource bytes_;
  std::size_t step_;
};

Reply read(const std::string& text, std::size_t step = 1000) {
  Dripping dripping(text, step);
  PeekedSource source(dripping, 16);
  ReplyReader reader(source);
  Reply reply = reader.read();
  CHECK(source.some().empty());
  return reply;
}

}  // namespace

TEST_CASE("replies of all kinds, however they are cut") {
  for (const std::size_t step : {1U, 2U, 3U, 7U, 1000U}) {
    CAPTURE(step);
    CHECK(read("+OK\r\n", step).text == "OK");
    CHECK(read("-ERR no\r\n", step).is_error());
    CHECK(read(":-12\r\n", step).integer == -12);
    CHECK(read("$-1\r\n", step).is_null());
    CHECK(read("*-1\r\n", step).is_null());
    CHECK(read("$0\r\n\r\n", step).text.empty());
    CHECK(read("$5\r\na\r\nb\n\r\n", step).text == "a\r\nb\n");
    const std::string large(100000, 'x');
    CHECK(read("$100000\r\n" + large + "\r\n", step).text == large);
    const Reply nested = read("*3\r\n*2\r\n:1\r\n$1\r\na\r\n*0\r\n$-1\r\n", step);
    REQUIRE(nested.items.size() == 3);
    CHECK(nested.items[0].items[1].text == "a");
    CHECK(nested.items[1].kind == Reply::Kind::array);
    CHECK(nested.items[2].is_null());
  }
}

TEST_CASE("a bulk goes where it is wanted") {
  const std::string text = "$3\r\nabc\r\n$-1\r\n-ERR\r\n";
  SpanSource bytes(std::as_bytes(std::span(text)));
  PeekedSource source(bytes, 16);
  ReplyReader reader(source);
  std::byte room[8];
  const auto give = [&](std::size_t) { return std::span(room); };
  CHECK(reader.read_into(give).integer == 3);
  CHECK(room[2] == std::byte{'c'});
  CHECK(reader.read_into(give).is_null());
  CHECK(reader.read_into(give).is_error());
  CHECK_THROWS_AS(reader.read(), hoist::EndOfStream);
}

TEST_CASE("what is no reply is refused, and takes no memory by its word") {
  for (const char* text :
       {"?\r\n", "\x15\x03\x01\r\n", "HTTP/1.1 400\r\n", "+OK\n", ":\r\n", ":1x\r\n", "$-2\r\n",
        "*-7\r\n", "$99999999999999999999\r\n", "$3\r\nabcd\r\n", "$900000000\r\n"}) {
    CAPTURE(text);
    CHECK_THROWS_AS(read(text), hoist::DamagedData);
  }
  for (const char* text : {"", "+OK", "$3\r\nab", "*2\r\n:1\r\n", "$600000000\r\nabc"}) {
    CAPTURE(text);
    CHECK_THROWS_AS(read(text), hoist::EndOfStream);
  }
  CHECK_THROWS_AS(read("+" + std::string(100000, 'x') + "\r\n"), hoist::DamagedData);
  std::string deep;
  for (int i = 0; i < 100000; ++i) deep += "*1\r\n";
  CHECK_THROWS_AS(read(deep), hoist::DamagedData);
  // An array's length is only believed as far as its elements come.
  CHECK_THROWS_AS(read("*2000000000\r\n:1\r\n"), hoist::EndOfStream);
  std::string many = "*100000\r\n";
  for (int i = 0; i < 100000; ++i) many += "*0\r\n";
  SpanSource bytes(std::as_bytes(std::span(many)));
  PeekedSource source(bytes, 16);
  CHECK_THROWS_AS(ReplyReader(source, 1 << 20).read(), hoist::DamagedData);
  // Lines count, too.
  std::string lines = "*100\r\n";
  for (int i = 0; i < 100; ++i) lines += "+" + std::string(50000, 'x') + "\r\n";
  SpanSource bytes_of_lines(std::as_bytes(std::span(lines)));
  PeekedSource source_of_lines(bytes_of_lines, 16);
  CHECK_THROWS_AS(ReplyReader(source_of_lines, 1 << 20).read(), hoist::DamagedData);
}
