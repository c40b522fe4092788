// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/error.hpp>
#include <hoist/value.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

#include "dynamic/elements.hpp"
#include "dynamic/value_node.hpp"

namespace hoist {

using namespace detail;

namespace detail::dynamic {

namespace {

/// Values without an owner. Nested ones are destroyed from here one after the other, not by
/// recursion, whose depth the data would decide.
thread_local std::vector<Value>* doomed = nullptr;

void destroy(std::vector<Value>& values) {
  if (values.empty()) return;
  if (doomed != nullptr) {
    for (Value& value : values) {
      if (value.node() != nullptr) doomed->push_back(std::move(value));
    }
    return;
  }
  std::vector<Value> own = std::move(values);
  doomed = &own;
  while (!own.empty()) {
    const Value last = std::move(own.back());
    own.pop_back();
  }
  doomed = nullptr;
}

}  // namespace

bool is_moment(Kind kind, const Value::DateTime& when) {
  constexpr std::int64_t day = 86'400'000'000;
  const auto in = [](std::int64_t n, std::int64_t first, std::int64_t last) {
    return first <= n && n <= last;
  };
  const bool has_date = kind == Kind::date || kind == Kind::datetime;
  return (has_date || kind == Kind::time) &&
         (!has_date || (in(when.year, 1, 9999) && in(when.month, 1, 12) && in(when.day, 1, 31))) &&
         in(when.hour, 0, 23) && in(when.minute, 0, 59) && in(when.second, 0, 59) &&
         in(when.microsecond, 0, 999'999) && in(when.utc_offset_us.value_or(0), 1 - day, day - 1);
}

ItemsNode::~ItemsNode() { destroy(items); }

DictNode::~DictNode() {
  std::vector<Value> values;
  for (auto& [key, value] : entries) {
    if (key.node() != nullptr) values.push_back(std::move(key));
    if (value.node() != nullptr) values.push_back(std::move(value));
  }
  destroy(values);
}

void throw_kind(const Value& value, const char* wanted) {
  throw WrongType(std::string("the value is ") + value.kind_name() + ", not " + wanted);
}

}  // namespace detail::dynamic

std::size_t Value::Elements::size() const { return checked_elements(shape, 1); }

Value::Value(std::complex<double> value) : node_(std::make_shared<dynamic::ComplexNode>(value)) {}
Value::Value(std::string text)
    : node_(std::make_shared<dynamic::TextNode>(Kind::text, std::move(text))) {}
Value::Value(Elements elements)
    : node_(std::make_shared<dynamic::ArrayNode>(std::move(elements))) {}

Value Value::bytes(std::string bytes) {
  return Value(std::make_shared<dynamic::TextNode>(Kind::bytes, std::move(bytes)));
}

Value Value::integer(std::string_view bytes) {
  const auto at = [&](std::size_t i) { return static_cast<unsigned char>(bytes[i]); };
  while (bytes.size() > 1) {
    const unsigned char last = at(bytes.size() - 1);
    const bool sign_before = (at(bytes.size() - 2) & 0x80) != 0;
    if (!((last == 0 && !sign_before) || (last == 0xFF && sign_before))) break;
    bytes.remove_suffix(1);
  }
  if (bytes.size() > 9 || (bytes.size() == 9 && at(8) != 0)) {
    return Value(std::make_shared<dynamic::TextNode>(Kind::big_integer, std::string(bytes)));
  }
  std::uint64_t bits = 0;
  for (std::size_t i = 0; i < bytes.size() && i < 8; ++i) bits |= std::uint64_t{at(i)} << (8 * i);
  if (bytes.size() == 9) return Value(bits);
  if (!bytes.empty() && bytes.size() < 8 && (at(bytes.size() - 1) & 0x80) != 0) {
    bits |= ~std::uint64_t{0} << (8 * bytes.size());
  }
  return Value(static_cast<std::int64_t>(bits));
}

Value Value::sequence(Kind kind, std::vector<Value> items) {
  return Value(std::make_shared<dynamic::ItemsNode>(kind, std::move(items)));
}
Value Value::list(std::vector<Value> items) { return sequence(Kind::list, std::move(items)); }
Value Value::tuple(std::vector<Value> items) { return sequence(Kind::tuple, std::move(items)); }
Value Value::set(std::vector<Value> items) { return sequence(Kind::set, std::move(items)); }
Value Value::dict(std::vector<Entry> entries) {
  return Value(std::make_shared<dynamic::DictNode>(std::move(entries)));
}

Value Value::objects(Shape shape, Order order, std::vector<Value> items) {
  if (checked_elements(shape, 1) != items.size()) {
    throw BadArgument("Value::objects: the shape holds another number of elements than " +
                      std::to_string(items.size()));
  }
  auto node = std::make_shared<dynamic::ArrayNode>(
      Elements{DType{.kind = 'O', .itemsize = 8}, std::move(shape), order, nullptr, nullptr});
  node->kind = Kind::objects;
  node->items = std::move(items);
  return Value(std::shared_ptr<Node>(std::move(node)));
}

Value Value::scalar(DType dtype, std::string bytes) {
  if (dtype.itemsize != bytes.size()) throw BadArgument("Value::scalar: wrong number of bytes");
  return Value(std::make_shared<dynamic::ScalarNode>(std::move(dtype), std::move(bytes)));
}
Value Value::moment(Kind kind, DateTime when) {
  if (!dynamic::is_moment(kind, when)) {
    throw BadArgument("Value::moment: Python has no such date, time or datetime");
  }
  return Value(std::make_shared<dynamic::MomentNode>(kind, when));
}
Value Value::type(DType dtype) {
  return Value(std::make_shared<dynamic::DTypeNode>(std::move(dtype)));
}

Value::Kind Value::kind() const noexcept { return node_ ? node_->kind : kind_; }

bool Value::as_bool() const {
  if (kind() == Kind::boolean) return plain_.integer != 0;
  if (const auto number = dynamic::number_of(*this); number && number->kind == Kind::boolean) {
    return number->integer != 0;
  }
  dynamic::throw_kind(*this, "a bool");
}

std::int64_t Value::as_int() const {
  if (kind() == Kind::integer) return plain_.integer;
  if (const auto number = dynamic::number_of(*this); number && number->kind == Kind::integer) {
    return number->integer;
  }
  dynamic::throw_kind(*this, "an integer of 64 bits");
}

std::uint64_t Value::as_uint() const {
  if (kind() == Kind::natural) return static_cast<std::uint64_t>(plain_.integer);
  if (const auto number = dynamic::number_of(*this)) {
    const bool fits =
        number->kind == Kind::natural || (number->kind == Kind::integer && number->integer >= 0);
    if (fits) return static_cast<std::uint64_t>(number->integer);
  }
  dynamic::throw_kind(*this, "an unsigned integer of 64 bits");
}

namespace {

/// Of a number in two's complement, the lowest byte first; rounded once, infinite where it is too
/// large.
double double_of(std::string_view bytes) {
  const bool is_negative = !bytes.empty() && static_cast<signed char>(bytes.back()) < 0;
  std::uint64_t top = 0;  // the upper 8 bytes from the first that isn't zero
  bool is_inexact = false;
  std::size_t places = 0;
  unsigned carry = 1;
  std::string magnitude(bytes);
  for (char& byte : magnitude) {
    if (!is_negative) break;
    carry += static_cast<unsigned char>(~byte);
    byte = static_cast<char>(carry);
    carry >>= 8U;
  }
  for (std::size_t i = magnitude.size(); i-- > 0;) {
    const auto byte = static_cast<unsigned char>(magnitude[i]);
    if (top >> 56U == 0) {
      top = top << 8U | byte;
    } else {
      is_inexact = is_inexact || byte != 0;
      ++places;
    }
  }
  // The lowest of 57 bits or more takes no part but in the rounding.
  const double rounded = std::ldexp(static_cast<double>(top | (is_inexact ? 1U : 0U)),
                                    static_cast<int>(std::min<std::size_t>(8 * places, 10'000)));
  return is_negative ? -rounded : rounded;
}

}  // namespace

double Value::as_double() const {
  if (kind() == Kind::real) return plain_.real;
  if (kind() == Kind::big_integer) {
    return double_of(dynamic::node_as<dynamic::TextNode>(*this).bytes());
  }
  if (const auto number = dynamic::number_of(*this)) {
    switch (number->kind) {
      case Kind::integer: return static_cast<double>(number->integer);
      case Kind::natural: return static_cast<double>(static_cast<std::uint64_t>(number->integer));
      case Kind::real: return number->real;
      default: break;
    }
  }
  dynamic::throw_kind(*this, "a real number");
}

std::complex<double> Value::as_complex() const {
  if (kind() == Kind::complex) return dynamic::node_as<dynamic::ComplexNode>(*this).value;
  if (const auto number = dynamic::number_of(*this); number && number->kind == Kind::complex) {
    return {number->real, number->imaginary};
  }
  return as_double();
}

std::string_view Value::as_text() const {
  if (kind() != Kind::text) dynamic::throw_kind(*this, "text");
  return dynamic::node_as<dynamic::TextNode>(*this).bytes();
}

std::string_view Value::as_bytes() const {
  if (kind() == Kind::scalar) return dynamic::node_as<dynamic::ScalarNode>(*this).bytes;
  if (kind() != Kind::bytes && kind() != Kind::big_integer) dynamic::throw_kind(*this, "bytes");
  return dynamic::node_as<dynamic::TextNode>(*this).bytes();
}

const std::vector<Value>& Value::items() const {
  switch (kind()) {
    case Kind::list:
    case Kind::tuple:
    case Kind::set:
    case Kind::frozen_set:
    case Kind::slice:
    case Kind::range:
    case Kind::timedelta:
    case Kind::objects: return dynamic::node_as<dynamic::ItemsNode>(*this).items;
    default: dynamic::throw_kind(*this, "a list or the like");
  }
}

const std::vector<Value::Entry>& Value::entries() const {
  if (kind() != Kind::dict) dynamic::throw_kind(*this, "a dict");
  return dynamic::node_as<dynamic::DictNode>(*this).entries;
}

const Value::Elements& Value::elements() const {
  if (kind() != Kind::array) dynamic::throw_kind(*this, "an array of numbers, text or structures");
  return dynamic::node_as<dynamic::ArrayNode>(*this).elements;
}

const DType& Value::dtype() const {
  switch (kind()) {
    case Kind::array:
    case Kind::objects: return dynamic::node_as<dynamic::ArrayNode>(*this).elements.dtype;
    case Kind::scalar: return dynamic::node_as<dynamic::ScalarNode>(*this).dtype;
    case Kind::dtype: return dynamic::node_as<dynamic::DTypeNode>(*this).dtype;
    default: dynamic::throw_kind(*this, "an array");
  }
}

const Shape& Value::shape() const {
  if (kind() != Kind::array && kind() != Kind::objects) dynamic::throw_kind(*this, "an array");
  return dynamic::node_as<dynamic::ArrayNode>(*this).elements.shape;
}

Order Value::order() const {
  if (kind() != Kind::array && kind() != Kind::objects) dynamic::throw_kind(*this, "an array");
  return dynamic::node_as<dynamic::ArrayNode>(*this).elements.order;
}

const Value::DateTime& Value::as_moment() const {
  if (kind() != Kind::date && kind() != Kind::time && kind() != Kind::datetime) {
    dynamic::throw_kind(*this, "a date or time");
  }
  return dynamic::node_as<dynamic::MomentNode>(*this).when;
}

std::size_t Value::size() const {
  switch (kind()) {
    case Kind::text:
    case Kind::bytes: return dynamic::node_as<dynamic::TextNode>(*this).bytes().size();
    case Kind::dict: return entries().size();
    case Kind::array: return elements().size();
    default: return items().size();
  }
}

const Value& Value::operator[](std::size_t index) const {
  const auto& all = items();
  if (index >= all.size()) {
    throw NotFound("item " + std::to_string(index) + " of " + kind_name() + " of " +
                   std::to_string(all.size()));
  }
  return all[index];
}

const Value* Value::find(std::string_view key) const {
  for (const auto& [name, value] : entries()) {
    if (name.kind() == Kind::text && name.as_text() == key) return &value;
  }
  return nullptr;
}

const Value& Value::operator[](std::string_view key) const {
  if (const Value* found = find(key)) return *found;
  std::string known;
  for (const auto& [name, value] : entries()) {
    if (known.size() < 200) known += (known.empty() ? "" : ", ") + name.to_string(40);
  }
  throw NotFound("the dict has no \"" + std::string(key) + "\"; it has " +
                 (known.empty() ? "nothing" : known));
}

}  // namespace hoist
