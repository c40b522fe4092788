// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <array>
#include <cstring>

#include "dynamic/dtype_check.hpp"
#include "dynamic/elements.hpp"
#include "formats/dtype_names.hpp"
#include "pickle/machine.hpp"

// The constructors that a pickle may call, as functions from plain values to plain values.

namespace hoist::detail::pickle {

namespace {

struct Name {
  std::string_view module;
  std::string_view name;
  Token token;
};

constexpr std::string_view builtins = "builtins";
constexpr std::string_view old_builtins = "__builtin__";

/// Exactly these pairs; modules of NumPy 1 and 2, of Python 2 and 3.
constexpr Name allowed[] = {
    {"joblib.numpy_pickle", "NumpyArrayWrapper", Token::array_wrapper},
    {"sklearn.externals.joblib.numpy_pickle", "NumpyArrayWrapper", Token::array_wrapper},
    {"joblib.numpy_pickle", "NDArrayWrapper", Token::sidecar_wrapper},
    {"joblib.numpy_pickle", "ZNDArrayWrapper", Token::sidecar_wrapper},
    {"numpy", "dtype", Token::dtype},
    {"numpy", "ndarray", Token::ndarray},
    {"numpy", "memmap", Token::ndarray},
    {"numpy", "recarray", Token::ndarray},
    {"numpy.rec", "recarray", Token::ndarray},
    {"numpy.core.records", "recarray", Token::ndarray},
    {"numpy", "chararray", Token::ndarray},
    {"numpy.char", "chararray", Token::ndarray},
    {"numpy.core.defchararray", "chararray", Token::ndarray},
    {"numpy", "record", Token::record},
    {"numpy.rec", "record", Token::record},
    {"numpy.core.records", "record", Token::record},
    {"numpy", "matrix", Token::matrix},
    {"numpy.matrixlib.defmatrix", "matrix", Token::matrix},
    {"numpy.core.multiarray", "_reconstruct", Token::reconstruct},
    {"numpy._core.multiarray", "_reconstruct", Token::reconstruct},
    {"numpy.core.multiarray", "scalar", Token::scalar},
    {"numpy._core.multiarray", "scalar", Token::scalar},
    {"numpy.core.numeric", "_frombuffer", Token::frombuffer},
    {"numpy._core.numeric", "_frombuffer", Token::frombuffer},
    {"_codecs", "encode", Token::encode},
    {builtins, "bytes", Token::bytes},
    {builtins, "bytearray", Token::bytearray},
    {builtins, "set", Token::set},
    {builtins, "frozenset", Token::frozenset},
    {builtins, "complex", Token::complex},
    {builtins, "slice", Token::slice},
    {builtins, "range", Token::range},
    {builtins, "object", Token::object},
    {"__builtin__", "xrange", Token::range},
    {"copyreg", "_reconstructor", Token::reconstructor},
    {"copy_reg", "_reconstructor", Token::reconstructor},
    {"collections", "OrderedDict", Token::ordered_dict},
    {"collections", "defaultdict", Token::default_dict},
    {"collections", "deque", Token::deque},
    {"collections", "Counter", Token::counter},
    {"datetime", "date", Token::date},
    {"datetime", "time", Token::time},
    {"datetime", "datetime", Token::datetime},
    {"datetime", "timedelta", Token::timedelta},
    {"datetime", "timezone", Token::timezone},
    {builtins, "list", Token::factory},
    {builtins, "dict", Token::factory},
    {builtins, "tuple", Token::factory},
    {builtins, "int", Token::factory},
    {builtins, "float", Token::factory},
    {builtins, "str", Token::factory},
    {builtins, "bool", Token::factory},
    {"__builtin__", "long", Token::factory},
    {"__builtin__", "unicode", Token::factory},
};

bool is_sequence(const Value& value) {
  return value.kind() == dynamic::Kind::list || value.kind() == dynamic::Kind::tuple;
}

bool is_latin1_name(const Value& value) {
  return value.kind() == dynamic::Kind::text &&
         (value.as_text() == "latin1" || value.as_text() == "latin-1");
}

/// The bytes that Python 3 writes as text up to protocol 2.
Value latin1_bytes(const Value& value, Fail fail) {
  if (is_latin1(value)) {
    const auto& node = dynamic::node_as<dynamic::TextNode>(value);
    return Value(
        std::make_shared<dynamic::TextNode>(dynamic::Kind::bytes, node.storage, node.size));
  }
  const std::string_view text = value.as_text();
  const auto begins_one = [](char c) { return (c & 0xC0) != 0x80; };
  const auto n = std::count_if(text.begin(), text.end(), begins_one);
  const auto size = static_cast<std::size_t>(n);
  auto storage = allocate_storage(size, Fill::none);
  std::byte* next = storage->data();
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto lead = static_cast<unsigned char>(text[i]);
    const bool good = lead < 0x80 || lead == 0xC2 || lead == 0xC3;
    if (!good) fail("bytes are written as text that is no Latin-1");
    const auto low = lead < 0x80 ? lead : (lead << 6 | (text[++i] & 0x3F));
    *next++ = static_cast<std::byte>(low);
  }
  return Value(std::make_shared<dynamic::TextNode>(dynamic::Kind::bytes, std::move(storage), size));
}

std::int64_t small_integer(const Value& value, Fail fail) {
  if (value.kind() != dynamic::Kind::integer) fail("an argument is no integer");
  return value.as_int();
}

Value sequence_of(dynamic::Kind kind, std::vector<Value>& arguments, Fail fail) {
  if (arguments.empty()) return Value::sequence(kind, {});
  if (arguments.size() != 1 || !is_sequence(arguments[0])) fail("a set is made of what is no list");
  return Value::sequence(kind, arguments[0].items());
}

Value ordered_dict(const std::vector<Value>& arguments, Fail fail) {
  std::vector<Value::Entry> entries;
  if (arguments.size() > 1) fail("an OrderedDict has too many arguments");
  if (arguments.size() == 1) {
    if (!is_sequence(arguments[0])) fail("an OrderedDict is made of what is no list");
    for (const Value& pair : arguments[0].items()) {
      const bool good =
          is_sequence(pair) && pair.items().size() == 2 &&
          (pair.items()[0].node() == nullptr || pair.items()[0].kind() == dynamic::Kind::text);
      if (!good) fail("an OrderedDict is made of what are no pairs");
      entries.emplace_back(pair.items()[0], pair.items()[1]);
    }
  }
  return Value::dict(std::move(entries));
}

}  // namespace

std::optional<Token> token_of(std::string_view module, std::string_view name) {
  if (module == old_builtins) {
    for (const Name& known : allowed) {
      if (known.module == builtins && known.name == name) return known.token;
    }
  }
  for (const Name& known : allowed) {
    if (known.module == module && known.name == name) return known.token;
  }
  return std::nullopt;
}

std::optional<Token> as_token(const Value& value) {
  const auto* node = dynamic_cast<const TokenNode*>(value.node());
  return node != nullptr ? std::optional(node->token) : std::nullopt;
}

Shape shape_argument(const Value& value, Fail fail) {
  if (value.kind() != dynamic::Kind::tuple) fail("a shape is no tuple");
  Shape shape;
  for (const Value& extent : value.items()) {
    const std::int64_t n = small_integer(extent, fail);
    if (n < 0) fail("a shape has a negative extent");
    shape.push_back(static_cast<std::size_t>(n));
  }
  return shape;
}

bool is_latin1(const Value& value) {
  return value.kind() == dynamic::Kind::text && dynamic::node_as<dynamic::TextNode>(value).latin1;
}

Value bytes_value(const Value& value, Fail fail) {
  if (value.kind() == dynamic::Kind::text) return latin1_bytes(value, fail);
  if (value.kind() != dynamic::Kind::bytes) fail("an argument is no bytes");
  return value;
}

std::string bytes_argument(const Value& value, Fail fail) {
  return std::string(bytes_value(value, fail).as_bytes());
}

std::optional<Value> call_plain(Token token, std::vector<Value>& a, Fail fail) {
  const std::size_t n = a.size();
  switch (token) {
    case Token::encode:
      if (n != 2 || a[0].kind() != dynamic::Kind::text || !is_latin1_name(a[1])) {
        fail("_codecs.encode is called otherwise than for bytes");
      }
      return latin1_bytes(a[0], fail);
    case Token::bytes:
      if (n != 0) fail("bytes is called with arguments");
      return Value::bytes({});
    case Token::bytearray:
      if (n == 0) return Value::bytes({});
      if (n == 1 && a[0].kind() == dynamic::Kind::bytes) return a[0];
      if (n != 2 || a[0].kind() != dynamic::Kind::text || !is_latin1_name(a[1])) {
        fail("bytearray is called otherwise than for bytes");
      }
      return latin1_bytes(a[0], fail);
    case Token::set: return sequence_of(dynamic::Kind::set, a, fail);
    case Token::frozenset: return sequence_of(dynamic::Kind::frozen_set, a, fail);
    case Token::complex: {
      const auto part = [&](std::size_t i) {
        if (a[i].kind() != dynamic::Kind::real && a[i].kind() != dynamic::Kind::integer)
          fail("complex of no numbers");
        return a[i].as_double();
      };
      if (n != 2) fail("complex is called with another number of arguments than 2");
      return Value(std::complex<double>(part(0), part(1)));
    }
    case Token::slice:
      if (n != 3) fail("slice is called with another number of arguments than 3");
      return Value::sequence(dynamic::Kind::slice, std::move(a));
    case Token::range:
      if (n != 3 || small_integer(a[2], fail) == 0) fail("no sound range");
      small_integer(a[0], fail);
      small_integer(a[1], fail);
      return Value::sequence(dynamic::Kind::range, std::move(a));
    case Token::ordered_dict: return ordered_dict(a, fail);
    case Token::default_dict:
      if (n > 1 || (n == 1 && !a[0].is_none() && !as_token(a[0]))) fail("no sound defaultdict");
      return Value::dict({});
    case Token::deque:
      if (n > 2 || (n > 0 && !(is_sequence(a[0]) && a[0].items().empty()))) fail("no sound deque");
      return Value::list({});
    case Token::counter:
      if (n > 1 || (n == 1 && a[0].kind() != dynamic::Kind::dict)) fail("no sound Counter");
      return n == 0 ? Value::dict({}) : Value::dict(a[0].entries());
    default: return std::nullopt;
  }
}

std::optional<Value> call_time(Token token, const std::vector<Value>& a, Fail fail) {
  if (token == Token::timedelta) {
    if (a.size() != 3) fail("no sound timedelta");
    for (const Value& part : a) small_integer(part, fail);
    return Value::sequence(dynamic::Kind::timedelta, a);
  }
  if (token == Token::timezone) {
    if (a.empty() || a.size() > 2 || a[0].kind() != dynamic::Kind::timedelta)
      fail("no sound timezone");
    std::int64_t us = 0;
    const auto& part = a[0].items();
    if (__builtin_mul_overflow(part[0].as_int(), 86400, &us) ||
        __builtin_add_overflow(us, part[1].as_int(), &us) ||
        __builtin_mul_overflow(us, 1000000, &us) ||
        __builtin_add_overflow(us, part[2].as_int(), &us)) {
      fail("no sound timezone");
    }
    return Value(std::make_shared<TimezoneNode>(us));
  }
  const bool has_date = token == Token::date || token == Token::datetime;
  const bool has_time = token == Token::time || token == Token::datetime;
  if (!has_date && !has_time) return std::nullopt;
  if (a.empty() || a.size() > (has_time ? 2U : 1U)) fail("no sound date or time");
  const std::string bytes = bytes_argument(a[0], fail);
  if (bytes.size() != (has_date ? 4U : 0U) + (has_time ? 6U : 0U)) fail("no sound date or time");
  const auto at = [&](std::size_t i) {
    return static_cast<int>(static_cast<unsigned char>(bytes[i]));
  };
  Value::DateTime when;
  std::size_t next = 0;
  int month = 1;
  if (has_date) {
    when.year = at(0) << 8 | at(1);
    month = at(2);
    when.day = at(3);
    next = 4;
  }
  if (has_time) {
    // The second of two equal times, when clocks are set back, is marked in the first spare bit.
    int& marked = has_date ? month : when.hour;
    when.hour = at(next);
    when.fold = marked >> 7;
    marked &= 0x7F;
    when.minute = at(next + 1);
    when.second = at(next + 2);
    when.microsecond = at(next + 3) << 16 | at(next + 4) << 8 | at(next + 5);
  }
  when.month = has_date ? month : 0;
  if (a.size() == 2) {
    const auto* zone = dynamic_cast<const TimezoneNode*>(a[1].node());
    if (zone == nullptr) fail("a time zone of an unknown kind");
    when.utc_offset_us = zone->offset_us;
  }
  const dynamic::Kind kind = !has_time   ? dynamic::Kind::date
                             : !has_date ? dynamic::Kind::time
                                         : dynamic::Kind::datetime;
  if (!dynamic::is_moment(kind, when)) fail("no sound date or time");
  return Value::moment(kind, when);
}

}  // namespace hoist::detail::pickle
