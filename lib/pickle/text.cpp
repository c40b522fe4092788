// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

#include "dynamic/elements.hpp"
#include "dynamic/text_builder.hpp"
#include "pickle/machine.hpp"

// Text and bytes as they stand in the stream.

namespace hoist::detail::pickle {

namespace {

constexpr std::size_t max_digits = 4300;
constexpr std::size_t piece_bytes = std::size_t{64} << 10;

bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// A number in just as many hexadecimal digits.
char32_t hex(NextByte next, int digits, Fail fail) {
  char32_t code = 0;
  for (int i = 0; i < digits; ++i) {
    const char digit = static_cast<char>(std::max(next(), 0));
    unsigned value = 0;
    const auto [end, error] = std::from_chars(&digit, &digit + 1, value, 16);
    if (error != std::errc{} || end != &digit + 1) fail("a text has an unsound escape");
    code = code << 4 | value;
  }
  return code;
}

}  // namespace

std::string PickleMachine::text(std::uint64_t n) {
  expect(n);
  charge(static_cast<std::size_t>(n));
  return in_.text(static_cast<std::size_t>(n));
}

/// An array takes over what is not small, so that its elements are never there twice.
Value PickleMachine::bytes(std::uint64_t n) {
  if (n < dynamic::array_bytes) return Value::bytes(text(n));
  expect(n);
  const auto size = static_cast<std::size_t>(n);
  return Value(std::make_shared<dynamic::TextNode>(dynamic::Kind::bytes, in_.bytes(size), size));
}

/// Large text is kept as Latin-1 as long as possible: up to protocol 2, bytes are written as such
/// text.
Value PickleMachine::utf8(std::uint64_t count) {
  if (count < dynamic::array_bytes) {
    std::string small = text(count);
    if (!dynamic::is_utf8(small)) damaged("a text is not UTF-8");
    return Value(std::move(small));
  }
  expect(count);
  const auto n = static_cast<std::size_t>(count);
  auto storage = in_.take_passed(n);
  const bool there = storage != nullptr;
  if (!there) storage = allocate_storage(n, Fill::none);
  std::size_t made = 0, held = 0;  // characters, and bytes behind them that are none yet
  std::size_t left = n;
  bool latin1 = true;
  while (latin1 && left > 0) {
    const std::size_t piece = std::min(left, piece_bytes);
    std::byte* to = storage->data() + made;
    if (there) {
      std::memmove(to + held, storage->data() + (n - left), piece);
    } else {
      in_.get(to + held, piece);
    }
    left -= piece;
    const auto [read, chars] = dynamic::narrow(to, held + piece);
    held += piece - read;
    std::memmove(to + chars, to + read, held);
    made += chars;
    latin1 = held == 0 || (held == 1 && left > 0);
  }
  if (!latin1) {
    const std::size_t bytes = n - held - left;
    if (bytes != made) {
      auto wide = dynamic::widened(storage, made, n);
      std::memcpy(wide->data() + bytes, storage->data() + made, held);
      if (there) std::memcpy(wide->data() + (n - left), storage->data() + (n - left), left);
      storage = std::move(wide);
    }
    if (!there) in_.get_large(storage->data() + (n - left), left);
    made = n;
  }
  storage->shrink(made);
  auto node = std::make_shared<dynamic::TextNode>(dynamic::Kind::text, std::move(storage), made);
  node->latin1 = latin1;
  if (!latin1 && !dynamic::is_utf8(node->bytes())) damaged("a text is not UTF-8");
  return Value(std::move(node));
}

Value PickleMachine::old_string(std::uint64_t n) {
  if (n < dynamic::array_bytes) return dynamic::text_or_bytes(text(n));
  Value value = bytes(n);
  auto& node = dynamic::mutable_node<dynamic::TextNode>(value);
  node.latin1 = dynamic::is_ascii(node.bytes());
  if (node.latin1) node.kind = dynamic::Kind::text;
  return value;
}

Value raw_unicode(NextByte next, Fail fail) {
  dynamic::TextBuilder text;
  for (int byte = next(); byte >= 0; byte = next()) {
    const auto c = static_cast<char32_t>(byte);  // Latin-1
    if (c != '\\') {
      text.add(c);
      continue;
    }
    const int escaped = next();
    if (escaped == 'u' || escaped == 'U') {
      const char32_t code = hex(next, escaped == 'u' ? 4 : 8, fail);
      if (code > 0x10FFFF) fail("a text has an unsound escape");
      text.add(code);
      continue;
    }
    text.add('\\');  // both are literal, so that a doubled backslash hides what follows
    if (escaped < 0) break;
    text.add(static_cast<char32_t>(escaped));
  }
  return text.text();
}

Value quoted_string(NextByte next, Fail fail) {
  dynamic::TextBuilder text;
  const auto add = [&](int byte) { text.add(static_cast<unsigned char>(byte)); };
  static constexpr std::string_view named = "nrt\\'\"abfv", meant = "\n\r\t\\'\"\a\b\f\v";
  const int quote = next();
  if (quote != '\'' && quote != '"') fail("a text is not in quotes");
  for (int c = next();;) {
    if (c < 0) fail("a text is not in quotes");
    if (c != '\\') {
      const int before = std::exchange(c, next());
      if (before == quote && c < 0) return text.text_or_bytes();
      add(before);
      continue;
    }
    const int e = next();
    if (e < 0) fail("a text has an unsound escape");
    c = e >= '0' && e <= '7' ? e : next();
    if (const auto i = named.find(static_cast<char>(e)); i != std::string_view::npos) {
      add(meant[i]);
    } else if (e == 'x') {
      // The byte behind the letter has been read.
      bool first = true;
      const auto digit = [&] { return std::exchange(first, false) ? c : next(); };
      add(static_cast<int>(hex(digit, 2, fail)));
      c = next();
    } else if (e >= '0' && e <= '7') {
      int code = 0;
      for (int k = 0; k < 3 && c >= '0' && c <= '7'; ++k, c = next()) code = code * 8 + (c - '0');
      add(code);
    } else {
      add('\\');
      add(e);
    }
  }
}

Value decimal_integer(std::string_view line, bool is_long, Fail fail) {
  if (!is_long && line == "00") return Value(false);
  if (!is_long && line == "01") return Value(true);
  if (is_long && line.ends_with('L')) line.remove_suffix(1);
  const bool negative = line.starts_with('-');
  if (negative) line.remove_prefix(1);
  if (line.empty() || line.size() > max_digits ||
      !std::all_of(line.begin(), line.end(), is_digit)) {
    fail("a line is no integer");
  }
  std::vector<std::uint32_t> limbs;
  for (const char digit : line) {
    std::uint64_t carry = static_cast<std::uint64_t>(digit - '0');
    for (auto& limb : limbs) {
      carry += std::uint64_t{limb} * 10;
      limb = static_cast<std::uint32_t>(carry);
      carry >>= 32U;
    }
    if (carry != 0) limbs.push_back(static_cast<std::uint32_t>(carry));
  }
  limbs.push_back(0);  // room for the sign
  std::string bytes;
  std::uint64_t carry = 1;
  for (std::uint32_t limb : limbs) {
    if (negative) {
      carry += static_cast<std::uint32_t>(~limb);
      limb = static_cast<std::uint32_t>(carry);
      carry >>= 32U;
    }
    for (unsigned k = 0; k < 4; ++k) bytes += static_cast<char>(limb >> (8 * k));
  }
  return Value::integer(bytes);
}

double decimal_real(std::string_view line, Fail fail) {
  std::string_view body = line;
  const bool negative = body.starts_with('-');
  if (negative) body.remove_prefix(1);
  double value = 0;
  if (body == "inf") {
    value = std::numeric_limits<double>::infinity();
  } else if (body == "nan") {
    value = std::numeric_limits<double>::quiet_NaN();
  } else {
    const bool begins = !body.empty() && (is_digit(body[0]) || body[0] == '.');
    const auto [end, error] = std::from_chars(body.data(), body.data() + body.size(), value);
    if (!begins || end != body.data() + body.size() ||
        (error != std::errc{} && error != std::errc::result_out_of_range)) {
      fail("a line is no number");
    }
    if (error == std::errc::result_out_of_range) {
      value =
          body.find("e-") != std::string_view::npos ? 0 : std::numeric_limits<double>::infinity();
    }
  }
  return negative ? -value : value;
}

}  // namespace hoist::detail::pickle
