// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

#include "dynamic/elements.hpp"
#include "formats/pickle_machine.hpp"

namespace hoist::detail {

namespace {

constexpr std::size_t max_digits = 4300;

bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// Up to `most` hexadecimal digits at `at`, or nothing unless there are just as many.
std::optional<std::uint32_t> hex(std::string_view text, std::size_t at, std::size_t digits) {
  std::uint32_t code = 0;
  if (text.size() - at < digits) return std::nullopt;
  const char* from = text.data() + at;
  const auto [end, error] = std::from_chars(from, from + digits, code, 16);
  if (error != std::errc{} || end != from + digits) return std::nullopt;
  return code;
}

}  // namespace

std::string raw_unicode(std::string_view line, Fail fail) {
  std::string text;
  for (std::size_t at = 0; at < line.size();) {
    const auto byte = static_cast<unsigned char>(line[at++]);
    if (byte != '\\' || at == line.size()) {
      append_code_point(text, byte);  // Latin-1
      continue;
    }
    const char c = line[at++];
    if (c != 'u' && c != 'U') {
      text += '\\';  // both are literal, so that a doubled backslash hides what follows
      append_code_point(text, static_cast<unsigned char>(c));
      continue;
    }
    const std::size_t digits = c == 'u' ? 4 : 8;
    const auto code = hex(line, at, digits);
    if (!code || *code > 0x10FFFF) fail("a text has an unsound escape");
    at += digits;
    append_code_point(text, *code);
  }
  return text;
}

std::string quoted_string(std::string_view line, Fail fail) {
  if (line.size() < 2 || line.front() != line.back() ||
      (line.front() != '\'' && line.front() != '"')) {
    fail("a text is not in quotes");
  }
  line = line.substr(1, line.size() - 2);
  std::string text;
  static constexpr std::string_view named = "nrt\\'\"abfv", meant = "\n\r\t\\'\"\a\b\f\v";
  for (std::size_t at = 0; at < line.size();) {
    const char c = line[at++];
    if (c != '\\') {
      text += c;
      continue;
    }
    if (at == line.size()) fail("a text has an unsound escape");
    const char e = line[at++];
    if (const auto i = named.find(e); i != std::string_view::npos) {
      text += meant[i];
    } else if (e == 'x') {
      const auto code = hex(line, at, 2);
      if (!code) fail("a text has an unsound escape");
      text += static_cast<char>(*code);
      at += 2;
    } else if (e >= '0' && e <= '7') {
      int code = e - '0';
      for (int k = 0; k < 2 && at < line.size() && line[at] >= '0' && line[at] <= '7'; ++k) {
        code = code * 8 + (line[at++] - '0');
      }
      text += static_cast<char>(code);
    } else {
      text += '\\';
      text += e;
    }
  }
  return text;
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

}  // namespace hoist::detail
