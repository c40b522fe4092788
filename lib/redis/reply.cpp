// SPDX-License-Identifier: BSD-3-Clause
#include "redis/reply.hpp"

#include <hoist/error.hpp>

#include <algorithm>
#include <charconv>
#include <string_view>

namespace hoist::detail::redis {

namespace {

constexpr std::size_t max_depth = 8;
constexpr std::size_t max_line = std::size_t{64} << 10;
/// So much of a bulk is set aside before its first byte is there.
constexpr std::size_t first_room = std::size_t{1} << 20;

[[noreturn]] void throw_garbage(const std::string& what) {
  throw DamagedData("what came is no reply of a Redis server: " + what);
}

std::int64_t number_of(const std::string& text) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) {
    throw_garbage("a number is missing");
  }
  return number;
}

}  // namespace

void ReplyReader::take_from_budget(std::size_t bytes) {
  if (bytes > left_) throw_garbage("it is too large");
  left_ -= bytes;
}

char ReplyReader::first() {
  const auto some = in_.some();
  if (some.empty()) throw EndOfStream("the Redis server has closed the connection");
  const char type = static_cast<char>(some.front());
  if (std::string_view("+-:$*").find(type) == std::string_view::npos) {
    // A TLS record that reports an error begins so.
    throw_garbage(type == '\x15' ? "it speaks TLS here, so the URL begins with rediss://"
                                 : "it begins otherwise");
  }
  in_.take(1);
  return type;
}

/// Up to the end of a line, which isn't part of the result.
std::string ReplyReader::line() {
  std::string text;
  for (;;) {
    const auto some = in_.some();
    if (some.empty()) throw EndOfStream("the Redis server has closed the connection");
    const auto end = std::ranges::find(some, std::byte{'\n'});
    text.append(reinterpret_cast<const char*>(some.data()),
                static_cast<std::size_t>(end - some.begin()));
    if (text.size() > max_line) throw_garbage("a line is too long");
    if (end == some.end()) {
      in_.take(some.size());
      continue;
    }
    in_.take(static_cast<std::size_t>(end - some.begin()) + 1);
    if (!text.ends_with('\r')) throw_garbage("a line has no end");
    text.pop_back();
    return text;
  }
}

void ReplyReader::bytes_to(std::span<std::byte> to) {
  while (!to.empty()) {
    const std::size_t got = in_.read(to.data(), to.size());
    if (got == 0) throw EndOfStream("the Redis server has closed the connection in a reply");
    to = to.subspan(got);
  }
}

std::string ReplyReader::bulk(std::size_t bytes) {
  take_from_budget(bytes);
  std::string text;
  while (text.size() < bytes) {
    const std::size_t before = text.size();
    text.resize(std::min(bytes, std::max(first_room, 2 * before)));
    bytes_to(std::as_writable_bytes(std::span(text)).subspan(before));
  }
  return text;
}

Reply ReplyReader::read_any(std::size_t depth, const BulkRoom* room) {
  if (depth > max_depth) throw_garbage("it is nested too deeply");
  const char type = first();
  std::string text = line();
  take_from_budget(text.size());
  if (type == '+') return {.kind = Reply::Kind::status, .text = std::move(text)};
  if (type == '-') return {.kind = Reply::Kind::error, .text = std::move(text)};
  if (type == ':') return {.kind = Reply::Kind::integer, .integer = number_of(text)};
  const std::int64_t count = number_of(text);
  if (count == -1) return {};
  if (count < 0) throw_garbage("a length is negative");
  if (type == '*') {
    Reply reply{.kind = Reply::Kind::array};
    for (std::int64_t i = 0; i < count; ++i) {
      take_from_budget(2 * sizeof(Reply));  // vectors grow by doubling
      reply.items.push_back(read_any(depth + 1, nullptr));
    }
    return reply;
  }
  Reply reply{.kind = Reply::Kind::bulk, .integer = count};
  const auto bytes = static_cast<std::size_t>(count);
  if (room != nullptr) {
    bytes_to((*room)(bytes).first(bytes));
  } else {
    reply.text = bulk(bytes);
  }
  std::byte end[2];
  bytes_to(end);
  if (end[0] != std::byte{'\r'} || end[1] != std::byte{'\n'}) throw_garbage("a bulk has no end");
  return reply;
}

Reply ReplyReader::read() {
  left_ = budget_;
  return read_any(0, nullptr);
}

Reply ReplyReader::read_into(const BulkRoom& room) {
  left_ = budget_;
  return read_any(0, &room);
}

}  // namespace hoist::detail::redis
