// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/error.hpp>
#include <hoist/value.hpp>

#include <fmt/format.h>

#include <cmath>

#include "dynamic/elements.hpp"
#include "dynamic/value_node.hpp"

namespace hoist {

using namespace detail;

namespace detail::dynamic {

/// Decimal digits of a two's complement number, least significant byte first.
std::string decimal(std::string_view bytes) {
  std::vector<std::uint32_t> limbs((bytes.size() + 3) / 4, 0);
  const bool negative = !bytes.empty() && (bytes.back() & 0x80) != 0;
  std::uint64_t carry = negative ? 1 : 0;
  for (std::size_t i = 0; i < limbs.size(); ++i) {
    std::uint32_t limb = 0;
    for (std::size_t k = 0; k < 4; ++k) {
      const std::size_t at = 4 * i + k;
      const unsigned char byte = at < bytes.size() ? static_cast<unsigned char>(bytes[at])
                                 : negative        ? 0xFF
                                                   : 0;
      limb |= std::uint32_t{byte} << (8 * k);
    }
    if (negative) {
      carry += static_cast<std::uint32_t>(~limb);
      limb = static_cast<std::uint32_t>(carry);
      carry >>= 32U;
    }
    limbs[i] = limb;
  }
  std::vector<std::uint32_t> groups;  // of nine digits
  while (!limbs.empty()) {
    std::uint64_t rest = 0;
    for (std::size_t i = limbs.size(); i-- > 0;) {
      rest = (rest << 32U) | limbs[i];
      limbs[i] = static_cast<std::uint32_t>(rest / 1000000000U);
      rest %= 1000000000U;
    }
    groups.push_back(static_cast<std::uint32_t>(rest));
    while (!limbs.empty() && limbs.back() == 0) limbs.pop_back();
  }
  std::string text = negative ? "-" : "";
  text += groups.empty() ? "0" : std::to_string(groups.back());
  for (std::size_t i = groups.size(); i-- > 1;) text += fmt::format("{:09}", groups[i - 1]);
  return text;
}

namespace {

class Printer {
 public:
  explicit Printer(std::size_t most) : most_(most) {}

  void print(const Value& value) {
    if (++depth_ > 100) {
      out_ += "...";
    } else {
      print_kind(value);
    }
    --depth_;
  }
  std::string take() { return std::move(out_); }

 private:
  bool full() const { return out_.size() >= most_; }

  void quoted(std::string_view text, bool bytes) {
    if (bytes) out_ += 'b';
    out_ += '\'';
    bool cut = false;
    for (const char c : text) {
      const auto byte = static_cast<unsigned char>(c);
      // Not within a character, of which up to three bytes may follow.
      const bool begins = bytes || (byte & 0xC0) != 0x80 || out_.size() >= most_ + 3;
      cut = full() && begins;
      if (cut) break;
      if (c == '\'' || c == '\\') {
        out_ += '\\';
        out_ += c;
      } else if (c == '\n') {
        out_ += "\\n";
      } else if (byte < 0x20 || byte == 0x7F || (bytes && byte >= 0x80)) {
        out_ += fmt::format("\\x{:02x}", byte);
      } else {
        out_ += c;
      }
    }
    out_ += cut ? "...'" : "'";
  }

  void real(double number) {
    std::string text = std::isnan(number) ? "nan" : fmt::format("{}", number);
    if (std::isfinite(number) && text.find_first_of(".e") == std::string::npos) text += ".0";
    out_ += text;
  }

  template <class Range, class Print>
  void sequence(const char* open, const Range& range, const char* close, Print print_one) {
    out_ += open;
    bool first = true;
    for (const auto& part : range) {
      if (!first) out_ += ", ";
      first = false;
      if (full()) {
        out_ += "...";
        break;
      }
      print_one(part);
    }
    out_ += close;
  }
  void items(const char* open, const Value& value, const char* close) {
    sequence(open, value.items(), close, [&](const Value& item) { print(item); });
  }

  void shape(const Shape& extents) {
    std::string text;
    for (std::size_t extent : extents) text += (text.empty() ? "" : ", ") + std::to_string(extent);
    out_ += "(" + text + (extents.size() == 1 ? ",)" : ")");
  }

  void array(const Value::Elements& elements) {
    out_ += "array(" + elements.dtype.text() + ", ";
    shape(elements.shape);
    if (elements.order == Order::fortran) out_ += ", Fortran order";
    out_ += ", [";
    const std::size_t n = elements.size();
    for (std::size_t i = 0; i < n; ++i) {
      if (i > 0) out_ += ", ";
      if (i >= 20 || full()) {
        out_ += "...";
        break;
      }
      print(element_value(elements.dtype, elements.data + i * elements.dtype.itemsize));
    }
    out_ += "])";
  }

  void moment(const Value& value) {
    const auto& t = value.as_moment();
    const Value::Kind kind = value.kind();
    if (kind != Value::Kind::time) {
      out_ += fmt::format("{:04}-{:02}-{:02}", t.year, t.month, t.day);
    }
    if (kind == Value::Kind::datetime) out_ += 'T';
    if (kind == Value::Kind::date) return;
    out_ += fmt::format("{:02}:{:02}:{:02}.{:06}", t.hour, t.minute, t.second, t.microsecond);
    if (t.fold != 0) out_ += " (second)";
    if (t.utc_offset_us) out_ += fmt::format("{:+}us", *t.utc_offset_us);
  }

  void print_kind(const Value& value) {
    using enum Value::Kind;
    switch (value.kind()) {
      case none: out_ += "None"; break;
      case boolean: out_ += value.as_bool() ? "True" : "False"; break;
      case integer: out_ += std::to_string(value.as_int()); break;
      case natural: out_ += std::to_string(value.as_uint()); break;
      case big_integer: out_ += decimal(value.as_bytes()); break;
      case real: real_of(value); break;
      case complex: {
        const auto z = value.as_complex();
        out_ += fmt::format("({}{:+}j)", z.real(), z.imag());
        break;
      }
      case text: quoted(value.as_text(), false); break;
      case bytes: quoted(value.as_bytes(), true); break;
      case list: items("[", value, "]"); break;
      case tuple: items("(", value, value.size() == 1 ? ",)" : ")"); break;
      case set: value.size() == 0 ? void(out_ += "set()") : items("{", value, "}"); break;
      case frozen_set: items("frozenset({", value, "})"); break;
      case dict:
        sequence("{", value.entries(), "}", [&](const Value::Entry& entry) {
          print(entry.first);
          out_ += ": ";
          print(entry.second);
        });
        break;
      case array: array_of(value); break;
      case objects:
        out_ += "array(object, ";
        shape(value.shape());
        items(", [", value, "])");
        break;
      case scalar: {
        const auto* data = reinterpret_cast<const std::byte*>(value.as_bytes().data());
        const Value plain = element_value(value.dtype(), data);
        out_ += value.dtype().text() + "(";
        if (plain.kind() != scalar) {
          print(plain);
        } else if (value.dtype().kind == 'M' || value.dtype().kind == 'm') {
          DType count = value.dtype();
          count.kind = 'i';
          print(element_value(count, data));
        } else {
          quoted(value.as_bytes(), true);
        }
        out_ += ")";
        break;
      }
      case dtype: out_ += "dtype(" + value.dtype().text() + ")"; break;
      case slice: items("slice(", value, ")"); break;
      case range: items("range(", value, ")"); break;
      case timedelta: items("timedelta(", value, ")"); break;
      case date:
      case time:
      case datetime: moment(value); break;
      case internal: out_ += "?"; break;
    }
  }
  void real_of(const Value& value) { real(value.as_double()); }
  void array_of(const Value& value) { array(value.elements()); }

  std::size_t most_;
  int depth_ = 0;
  std::string out_;
};

}  // namespace
}  // namespace detail::dynamic

std::string Value::to_string(std::size_t most) const {
  dynamic::Printer printer(most);
  printer.print(*this);
  return printer.take();
}

std::string Value::kind_name() const {
  static constexpr const char* names[] = {"none",
                                          "a bool",
                                          "an integer",
                                          "an integer",
                                          "an integer beyond 64 bits",
                                          "a float",
                                          "a complex number",
                                          "text",
                                          "bytes",
                                          "a list",
                                          "a tuple",
                                          "a set",
                                          "a frozenset",
                                          "a dict",
                                          "an array",
                                          "an array of objects",
                                          "a scalar",
                                          "a dtype",
                                          "a slice",
                                          "a range",
                                          "a date",
                                          "a time",
                                          "a datetime",
                                          "a timedelta",
                                          "nothing readable"};
  std::string name = names[static_cast<std::size_t>(kind())];
  if (kind() == Kind::array || kind() == Kind::scalar) name += " of " + dtype().text();
  if (kind() == Kind::array) name += " in " + std::to_string(shape().size()) + " dimensions";
  return name;
}

}  // namespace hoist
