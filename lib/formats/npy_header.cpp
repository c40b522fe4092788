// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/error.hpp>

#include <charconv>
#include <limits>

#include "dynamic/dtype_check.hpp"
#include "dynamic/elements.hpp"
#include "formats/dtype_names.hpp"
#include "formats/npy.hpp"

namespace hoist::detail::formats {

namespace {

constexpr int max_literal_depth = 40;
constexpr std::size_t header_keys = 3;

/// Reads the few Python literals that headers are made of, into Values; evaluates nothing.
class Literals {
 public:
  Literals(std::string_view text, bool utf8) : text_(text), utf8_(utf8) {}

  Value all() {
    Value value = next(0);
    if (peek() != '\0') fail("there is more text behind the dict");
    return value;
  }

 private:
  [[noreturn]] static void fail(const std::string& why) {
    throw DamagedData("no sound npy header: " + why);
  }

  char peek() {
    while (at_ < text_.size() &&
           std::string_view(" \t\r\n").find(text_[at_]) != std::string_view::npos) {
      ++at_;
    }
    if (at_ == text_.size()) return '\0';
    if (text_[at_] == '\0') fail("a zero byte");
    return text_[at_];
  }

  Value next(int depth) {
    if (depth > max_literal_depth) throw LimitExceeded("an npy header nests too deep");
    const char c = peek();
    if (c == '(' || c == '[') return sequence(depth, c == '(');
    if (c == '{') return dict(depth);
    if (c == '-' || (c >= '0' && c <= '9')) return number();
    for (const auto& [word, value] : {std::pair<std::string_view, Value>{"True", Value(true)},
                                      {"False", Value(false)},
                                      {"None", Value()}}) {
      if (text_.substr(at_, word.size()) == word) {
        at_ += word.size();
        return value;
      }
    }
    return string();
  }

  Value sequence(int depth, bool tuple) {
    const char close = tuple ? ')' : ']';
    ++at_;
    std::vector<Value> items;
    bool comma = false;
    while (peek() != close) {
      items.push_back(next(depth + 1));
      comma = peek() == ',';
      if (comma) {
        ++at_;
      } else if (peek() != close) {
        fail("a sequence does not end");
      }
    }
    ++at_;
    if (!tuple) return Value::list(std::move(items));
    if (items.size() == 1 && !comma) return items[0];  // mere brackets
    return Value::tuple(std::move(items));
  }

  Value dict(int depth) {
    ++at_;
    std::vector<Value::Entry> entries;
    while (peek() != '}') {
      // Before they are compared with each other: a header has room for very many.
      if (entries.size() == header_keys) fail("more keys than descr, fortran_order and shape");
      Value key = next(depth + 1);
      if (key.kind() != Value::Kind::text) fail("a key is no text");
      for (const auto& entry : entries) {
        if (entry.first.as_text() == key.as_text()) fail("a key stands there twice");
      }
      if (peek() != ':') fail("a key has no value");
      ++at_;
      Value value = next(depth + 1);
      entries.emplace_back(std::move(key), std::move(value));
      if (peek() == ',') {
        ++at_;
      } else if (peek() != '}') {
        fail("the dict does not end");
      }
    }
    ++at_;
    return Value::dict(std::move(entries));
  }

  Value number() {
    std::int64_t value = 0;
    const char* from = text_.data() + at_;
    const auto [end, error] = std::from_chars(from, text_.data() + text_.size(), value);
    if (error != std::errc{}) fail("a number is out of range");
    at_ += static_cast<std::size_t>(end - from);
    if (at_ < text_.size() && text_[at_] == 'L') ++at_;  // a long integer of Python 2
    return Value(value);
  }

  Value string() {
    if (at_ < text_.size() && (text_[at_] == 'u' || text_[at_] == 'b')) ++at_;
    const char quote = at_ < text_.size() ? text_[at_] : '\0';
    if (quote != '\'' && quote != '"') fail("nothing that a header may hold begins here");
    ++at_;
    std::string result;
    for (;;) {
      if (at_ >= text_.size() || text_[at_] == '\n') fail("a text does not end");
      const char c = text_[at_++];
      if (c == quote) break;
      if (c == '\\') {
        escape(result);
      } else if (utf8_ || static_cast<unsigned char>(c) < 0x80) {
        result += c;
      } else {
        dynamic::append_code_point(result, static_cast<unsigned char>(c));  // Latin-1
      }
    }
    if (!dynamic::is_utf8(result)) fail("a text is not UTF-8");
    return Value(std::move(result));
  }

  void escape(std::string& result) {
    if (at_ >= text_.size()) fail("a text does not end");
    const char c = text_[at_++];
    static constexpr std::string_view plain = "\\'\"", named = "nrt", meant = "\n\r\t";
    if (plain.find(c) != std::string_view::npos) {
      result += c;
    } else if (const auto i = named.find(c); i != std::string_view::npos) {
      result += meant[i];
    } else {
      const std::size_t digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
      std::uint32_t code = 0;
      const char* from = text_.data() + at_;
      if (digits == 0 || text_.size() - at_ < digits) fail("an unknown escape in a text");
      const auto [end, error] = std::from_chars(from, from + digits, code, 16);
      if (error != std::errc{} || end != from + digits || code > 0x10FFFF) {
        fail("an unknown escape in a text");
      }
      at_ += digits;
      dynamic::append_code_point(result, code);
    }
  }

  std::string_view text_;
  bool utf8_;
  std::size_t at_ = 0;
};

Shape shape_of(const Value& value) {
  if (value.kind() != Value::Kind::tuple) throw DamagedData("the shape is no tuple");
  Shape shape;
  for (const Value& extent : value.items()) {
    if (extent.kind() != Value::Kind::integer || extent.as_int() < 0) {
      throw DamagedData("the shape holds what is no extent");
    }
    shape.push_back(static_cast<std::size_t>(extent.as_int()));
  }
  return shape;
}

DType with_shape(DType base, const Value& shape) {
  DType result{.kind = 'V'};
  result.shape =
      shape.kind() == Value::Kind::integer ? shape_of(Value::tuple({shape})) : shape_of(shape);
  result.itemsize = dynamic::checked_bytes(base, result.shape);
  result.base = std::make_shared<DType>(std::move(base));
  dynamic::check_dtype(result);
  return result;
}

DType dtype_from(const Value& descr, int depth) {
  if (depth > dynamic::max_dtype_depth) throw LimitExceeded("a dtype nests too deep");
  if (descr.kind() == Value::Kind::text) return simple_dtype(descr.as_text());
  if (descr.kind() == Value::Kind::tuple) {
    if (descr.size() != 2) throw DamagedData("no dtype in the npy header");
    return with_shape(dtype_from(descr[0], depth + 1), descr[1]);
  }
  if (descr.kind() != Value::Kind::list) throw DamagedData("no dtype in the npy header");
  auto fields = std::make_shared<std::vector<DType::Field>>();
  DType all{.kind = 'V'};
  for (const Value& entry : descr.items()) {
    if (entry.kind() != Value::Kind::tuple || entry.size() < 2 || entry.size() > 3) {
      throw DamagedData("no field of a dtype in the npy header");
    }
    DType type = dtype_from(entry[1], depth + 1);
    if (entry.size() == 3) type = with_shape(std::move(type), entry[2]);
    Value name = entry[0];
    std::string title;
    if (name.kind() == Value::Kind::tuple && name.size() == 2 &&
        name[0].kind() == Value::Kind::text) {
      title = name[0].as_text();
      name = Value(name[1]);
    }
    if (name.kind() != Value::Kind::text) throw DamagedData("a field's name is no text");
    const std::size_t size = type.itemsize;
    const bool padding = name.as_text().empty() && type.kind == 'V' && !type.fields && !type.base;
    if (!padding)
      fields->push_back({std::string(name.as_text()), all.itemsize, std::move(type), title});
    all.itemsize += size;
    if (all.itemsize > std::size_t{std::numeric_limits<std::int32_t>::max()}) {
      throw LimitExceeded("elements of more than 2 GiB");
    }
  }
  all.fields = std::move(fields);
  dynamic::check_dtype(all);
  return all;
}

std::string quoted(const std::string& text) {
  std::string result = "'";
  for (const char c : text) {
    if (c == '\\' || c == '\'') result += '\\';
    if (c == '\n') {
      result += "\\n";
    } else {
      result += c;
    }
  }
  return result + "'";
}

std::string tuple_of(const Shape& shape) {
  std::string text = "(";
  for (std::size_t i = 0; i < shape.size(); ++i) {
    text += (i > 0 ? ", " : "") + std::to_string(shape[i]);
  }
  return text + (shape.size() == 1 ? ",)" : ")");
}

}  // namespace

NpyHeader parse_npy_header(std::string_view text, bool utf8) {
  const Value header = Literals(text, utf8).all();
  if (header.kind() != Value::Kind::dict || header.size() != header_keys) {
    throw DamagedData("an npy header must have descr, fortran_order and shape");
  }
  const Value *descr = header.find("descr"), *order = header.find("fortran_order"),
              *shape = header.find("shape");
  if (descr == nullptr || order == nullptr || shape == nullptr ||
      order->kind() != Value::Kind::boolean) {
    throw DamagedData("an npy header must have descr, fortran_order and shape");
  }
  return {dtype_from(*descr, 0), shape_of(*shape), order->as_bool() ? Order::fortran : Order::c};
}

std::string npy_descr(const DType& dtype) {
  if (dtype.base) return "(" + npy_descr(*dtype.base) + ", " + tuple_of(dtype.shape) + ")";
  if (!dtype.fields) return quoted(dtype.text());
  std::string text = "[";
  std::size_t end = 0;
  const auto pad = [&](std::size_t to) {
    if (to < end) {
      throw BadArgument(
          "a .npy file can't hold structures whose fields overlap or stand out of "
          "order: " +
          dtype.text());
    }
    if (to > end) text += "('', '|V" + std::to_string(to - end) + "'), ";
    end = to;
  };
  for (const auto& field : *dtype.fields) {
    pad(field.offset);
    const std::string name = field.title.empty()
                                 ? quoted(field.name)
                                 : "(" + quoted(field.title) + ", " + quoted(field.name) + ")";
    text += "(" + name + ", ";
    text += field.type.base ? npy_descr(*field.type.base) + ", " + tuple_of(field.type.shape)
                            : npy_descr(field.type);
    text += "), ";
    end += field.type.itemsize;
  }
  pad(dtype.itemsize);
  if (text.ends_with(", ")) text.resize(text.size() - 2);
  return text + "]";
}

std::string npy_preamble(const NpyHeader& header) {
  const bool fortran = header.order == Order::fortran && header.shape.size() > 1;
  std::string text = "{'descr': " + npy_descr(header.dtype) +
                     ", 'fortran_order': " + (fortran ? "True" : "False") +
                     ", 'shape': " + tuple_of(header.shape) + ", }";
  const bool ascii = std::all_of(text.begin(), text.end(), [](char c) { return (c & 0x80) == 0; });
  const bool small = text.size() + 128 < 65536;
  const std::size_t head = npy_magic.size() + 2 + (ascii && small ? 2 : 4);
  text.append(63 - (head + text.size()) % 64, ' ');
  text += '\n';
  std::string all(npy_magic);
  all += ascii ? (small ? '\1' : '\2') : '\3';
  all += '\0';
  for (std::size_t i = 0; i < head - 8; ++i) all += static_cast<char>(text.size() >> (8 * i));
  return all + text;
}

}  // namespace hoist::detail::formats
