// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/error.hpp>

#include <array>
#include <cmath>
#include <cstring>
#include <limits>

#include "dynamic/value_writer.hpp"

// Numbers and text: what a single C++ scalar, string or time is made of.

namespace hoist::detail::dynamic {

template <class T>
void ValueWriter::put_integer(const Node& node, const Value& value, const Number& number) {
  const bool is_natural = number.kind == Kind::natural;
  const auto bits = static_cast<std::uint64_t>(number.integer);
  bool fits = true;
  if constexpr (std::is_signed_v<T>) {
    fits = !is_natural && number.integer >= std::numeric_limits<T>::min() &&
           number.integer <= std::numeric_limits<T>::max();
  } else {
    fits = (is_natural || number.integer >= 0) && bits <= std::numeric_limits<T>::max();
  }
  if (!fits) mismatch("is " + value.to_string(60) + ", which " + cut(node.text) + " can't hold");
  encoder_.scalar(static_cast<T>(bits));
}

void ValueWriter::wide_integer(const Node& node, const Value& value) {
  const bool is_natural = node.kind == Node::Kind::natural;
  std::string bytes;  // two's complement
  const auto number = number_of(value);
  if (value.kind() == Kind::big_integer) {
    bytes = value.as_bytes();
  } else if (number && (number->kind == Kind::integer || number->kind == Kind::natural)) {
    bytes.assign(reinterpret_cast<const char*>(&number->integer), sizeof number->integer);
    if (number->kind == Kind::natural) bytes.push_back('\0');
  } else {
    mismatch(node, value);
  }
  const bool negative = (static_cast<unsigned char>(bytes.back()) & 0x80) != 0;
  if (bytes.size() == 17 && bytes.back() == '\0' &&
      (is_natural || (static_cast<unsigned char>(bytes[15]) & 0x80) == 0)) {
    bytes.pop_back();
  }
  if (bytes.size() > 16 || (negative && is_natural)) {
    mismatch("is " + value.to_string(60) + ", which " + cut(node.text) + " can't hold");
  }
  bytes.resize(16, negative ? '\xFF' : '\0');
  encoder_.block(bytes.data(), bytes.size());
}

void ValueWriter::integer(const Node& node, const Value& value) {
  if (node.bytes == 16) return wide_integer(node, value);
  const auto number = number_of(value);
  if (!number || (number->kind != Kind::integer && number->kind != Kind::natural)) {
    mismatch(node, value);
  }
  const bool is_signed = node.kind == Node::Kind::integer;
  switch (node.bytes) {
    case 1:
      is_signed ? put_integer<std::int8_t>(node, value, *number)
                : put_integer<std::uint8_t>(node, value, *number);
      break;
    case 2:
      is_signed ? put_integer<std::int16_t>(node, value, *number)
                : put_integer<std::uint16_t>(node, value, *number);
      break;
    case 4:
      is_signed ? put_integer<std::int32_t>(node, value, *number)
                : put_integer<std::uint32_t>(node, value, *number);
      break;
    default:
      is_signed ? put_integer<std::int64_t>(node, value, *number)
                : put_integer<std::uint64_t>(node, value, *number);
  }
}

double ValueWriter::as_real(const Node& node, std::size_t bytes, const Value& value,
                            const Number& number) {
  if (number.kind == Kind::real) return number.real;
  if (number.kind == Kind::integer) {
    auto rounded = static_cast<double>(number.integer);
    if (bytes == 4) rounded = static_cast<float>(number.integer);
    if (bytes == 2) rounded = static_cast<float>(Float16(static_cast<float>(number.integer)));
    const bool is_int64 = rounded >= -0x1p63 && rounded < 0x1p63;
    if (is_int64 && static_cast<std::int64_t>(rounded) == number.integer) return rounded;
  }
  mismatch(node, value);
}

void ValueWriter::put_real(const Node& node, std::size_t bytes, double number) {
  const auto single = static_cast<float>(number);
  const Float16 half(single);
  const bool too_large =
      (bytes == 2 && std::isinf(static_cast<float>(half))) || (bytes == 4 && std::isinf(single));
  if (too_large && std::isfinite(number)) {
    mismatch("is " + Value(number).to_string() + ", which " + cut(node.text) + " can't hold");
  }
  if (bytes == 2) {
    encoder_.scalar(half.bits);
  } else if (bytes == 4) {
    encoder_.scalar(single);
  } else if (bytes == 8) {
    encoder_.scalar(number);
  } else {
    const auto wide = static_cast<long double>(number);
    LongDouble value{};
    std::memcpy(value.data(), &wide, sizeof wide);
    put_long_double(value, bytes);
  }
}

void ValueWriter::put_long_double(const LongDouble& value, std::size_t bytes) {
  std::array<char, x87_bytes> ten;
  std::array<char, quad_bytes> sixteen;
  if (bytes == ten.size()) {
    encode_long_double(value, ten);
    encoder_.scalar(ten);
  } else {
    encode_long_double(value, sixteen);
    encoder_.scalar(sixteen);
  }
}

bool ValueWriter::put_extended(const Value& value, char kind, std::size_t numbers,
                               std::size_t bytes) {
  if (value.kind() != Kind::scalar || value.dtype().kind != kind ||
      value.dtype().itemsize != 16 * numbers || value.dtype().big_endian) {
    return false;
  }
  for (std::size_t i = 0; i < numbers; ++i) {
    LongDouble number;
    std::memcpy(number.data(), value.as_bytes().data() + number.size() * i, number.size());
    put_long_double(number, bytes);
  }
  return true;
}

void ValueWriter::real(const Node& node, const Value& value) {
  if (node.bytes > 8 && put_extended(value, 'f', 1, node.bytes)) return;
  const auto number = number_of(value);
  if (!number) mismatch(node, value);
  put_real(node, node.bytes, as_real(node, node.bytes, value, *number));
}

void ValueWriter::complex(const Node& node, const Value& value) {
  if (node.bytes > 16 && put_extended(value, 'c', 2, node.bytes / 2)) return;
  const auto number = number_of(value);
  if (!number) mismatch(node, value);
  const std::size_t bytes = node.bytes / 2;
  const bool both = number->kind == Kind::complex;
  put_real(node, bytes, both ? number->real : as_real(node, bytes, value, *number));
  put_real(node, bytes, both ? number->imaginary : 0);
}

std::optional<std::string> ValueWriter::characters(const Value& value) const {
  const auto fixed_dtype = [](const DType& dtype) {
    return dtype.kind == 'U' || dtype.kind == 'S';
  };
  switch (value.kind()) {
    case Kind::text: return std::string(value.as_text());
    case Kind::bytes: return std::string(value.as_bytes());
    case Kind::scalar:
      if (!fixed_dtype(value.dtype())) return std::nullopt;
      return text_of(value.dtype(), reinterpret_cast<const std::byte*>(value.as_bytes().data()));
    case Kind::array:
      if (!value.shape().empty() || !fixed_dtype(value.dtype())) return std::nullopt;
      return text_of(value.dtype(), value.elements().data);
    default: return std::nullopt;
  }
}

void ValueWriter::text(const Node& node, const Value& value) {
  if (value.kind() == Kind::text || value.kind() == Kind::bytes) {
    return encode_text_of(encoder_, value);
  }
  if (value.kind() == Kind::array && value.shape().empty() && value.dtype().kind == 'S') {
    const auto& elements = value.elements();
    std::size_t n = elements.dtype.itemsize;
    while (n > 0 && elements.data[n - 1] == std::byte{0}) --n;
    if (n >= segment_threshold) {
      encoder_.length(n);
      return encoder_.array_block(elements.data, n, elements.storage);
    }
  }
  auto text = characters(value);
  if (!text) mismatch(node, value);
  encode_text_of(encoder_, Value(std::move(*text)));
}

void ValueWriter::fixed(const Node& node, const Value& value) {
  const auto text = characters(value);
  if (!text) mismatch(node, value);
  const bool wide = node.kind == Node::Kind::fixed_text;
  std::string bytes = *text;
  if (wide) {
    const std::u32string codes = code_points(*text);
    bytes.assign(reinterpret_cast<const char*>(codes.data()), codes.size() * 4);
  }
  const std::size_t room = node.count * (wide ? 4 : 1);
  if (bytes.size() > room) mismatch("is text longer than " + cut(node.text) + " can hold");
  bytes.resize(room);
  block(std::as_bytes(std::span(bytes)));
}

Value ValueWriter::time_count(const Value& value) {
  const bool scalar = value.kind() == Kind::scalar;
  if ((!scalar && value.kind() != Kind::array) ||
      (value.dtype().kind != 'm' && value.dtype().kind != 'M')) {
    return value;
  }
  DType count{.kind = 'i', .big_endian = value.dtype().big_endian, .itemsize = 8};
  if (scalar) return Value::scalar(std::move(count), std::string(value.as_bytes()));
  Value::Elements elements = value.elements();
  elements.dtype = std::move(count);
  return Value(std::move(elements));
}

}  // namespace hoist::detail::dynamic
