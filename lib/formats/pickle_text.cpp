// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

#include "dynamic/elements.hpp"
#include "formats/pickle_machine.hpp"

namespace hoist::detail {

namespace {

constexpr std::size_t max_digits = 4300;

bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// Text of a length that shows at its end, as Latin-1 for as long as it is.
class TextBuilder {
 public:
  void add(char32_t code) {
    if (code < 0x100 && !wide_) return put(static_cast<std::byte>(code));
    if (!wide_) widen();
    std::string utf8;
    append_code_point(utf8, code);
    for (const char c : utf8) put(static_cast<std::byte>(c));
  }

  Value text() {
    if (storage_ != nullptr) return stored(Kind::text, !wide_);
    std::string utf8;
    for (std::size_t i = 0; i < used_; ++i) {
      wide_ ? utf8.push_back(static_cast<char>(data_[i]))
            : append_code_point(utf8, std::to_integer<unsigned char>(data_[i]));
    }
    return Value(std::move(utf8));
  }

  /// Where nothing above 255 has been added.
  Value bytes() {
    const std::string_view all(reinterpret_cast<const char*>(data_), used_);
    if (storage_ == nullptr) return old_string(std::string(all));
    return is_ascii(all) ? stored(Kind::text, true) : stored(Kind::bytes, false);
  }

 private:
  void put(std::byte byte) {
    if (used_ == room_) grow();
    data_[used_++] = byte;
  }

  Value stored(Kind kind, bool latin1) {
    storage_->shrink(used_);
    auto node = std::make_shared<TextNode>(kind, std::move(storage_), used_);
    node->latin1 = latin1;
    return Value(std::move(node));
  }

  void take(std::shared_ptr<Storage> storage) {
    storage_ = std::move(storage);
    data_ = storage_->data();
    room_ = storage_->bytes();
  }

  void grow() {
    constexpr std::size_t step = std::size_t{1} << 20;
    auto larger = allocate_storage(std::max(2 * room_, std::size_t{64} << 10), Fill::none);
    for (std::size_t done = 0; done < used_;) {
      const std::size_t end = std::min(used_, done + step);
      std::memcpy(larger->data() + done, data_ + done, end - done);
      done = end;
      if (storage_ != nullptr) storage_->give_up(done);
    }
    take(std::move(larger));
  }

  void widen() {
    if (storage_ == nullptr) grow();
    const std::size_t wide = widened_bytes(data_, used_);
    take(widened(std::exchange(storage_, nullptr), used_, room_));
    used_ = wide;
    wide_ = true;
  }

  std::array<std::byte, array_bytes> first_;
  std::byte* data_ = first_.data();
  std::size_t room_ = array_bytes;
  std::size_t used_ = 0;
  std::shared_ptr<Storage> storage_;  // once it is larger than `first_`
  bool wide_ = false;
};

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

Value raw_unicode(NextByte next, Fail fail) {
  TextBuilder text;
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
  TextBuilder text;
  const auto add = [&](int byte) { text.add(static_cast<unsigned char>(byte)); };
  static constexpr std::string_view named = "nrt\\'\"abfv", meant = "\n\r\t\\'\"\a\b\f\v";
  const int quote = next();
  if (quote != '\'' && quote != '"') fail("a text is not in quotes");
  for (int c = next();;) {
    if (c < 0) fail("a text is not in quotes");
    if (c != '\\') {
      const int before = std::exchange(c, next());
      if (before == quote && c < 0) return text.bytes();
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

Value old_string(std::string bytes) {
  return is_ascii(bytes) ? Value(std::move(bytes)) : Value::bytes(std::move(bytes));
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
