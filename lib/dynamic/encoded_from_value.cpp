// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/error.hpp>

#include <algorithm>
#include <array>
#include <cstring>
#include <deque>
#include <limits>
#include <map>

#include "dynamic/conversion.hpp"
#include "dynamic/elements.hpp"
#include "dynamic/schema_types.hpp"
#include "dynamic/value_node.hpp"

namespace hoist::detail {

namespace {

using Node = SchemaNode;

std::string cut(std::string_view schema) {
  return schema.size() <= 60 ? std::string(schema) : std::string(schema.substr(0, 57)) + "...";
}

class Writer {
 public:
  explicit Writer(bool mapped) : mapped_(mapped) {}

  EncodedValue run(const Node& node, const Value& value) {
    write(node, value);
    return {encoder_.take(), std::move(made_)};
  }

 private:
  /// One step deeper: into an item, entry or member.
  class Step {
   public:
    Step(Writer& writer, const std::string& name) : path_(writer.path_), before_(path_.size()) {
      path_ += "[" + name + "]";
    }
    ~Step() { path_.resize(before_); }
    Step(const Step&) = delete;
    Step& operator=(const Step&) = delete;

   private:
    std::string& path_;
    std::size_t before_;
  };

  [[noreturn]] void mismatch(const std::string& what) const {
    throw WrongType((path_.empty() ? "the value" : "at " + path_ + " the value") + " " + what);
  }
  [[noreturn]] void mismatch(const Node& node, const Value& value) const {
    mismatch("is " + value.kind_name() + " where " + cut(node.text) + " is asked for");
  }

  void write(const Node& node, const Value& value) {
    const Encoder::Depth depth(encoder_);
    switch (node.kind) {
      case Node::Kind::boolean: {
        const auto number = number_of(value);
        if (!number || number->kind != Kind::boolean) mismatch(node, value);
        encoder_.scalar(static_cast<unsigned char>(number->integer));
        break;
      }
      case Node::Kind::integer:
      case Node::Kind::natural: integer(node, value); break;
      case Node::Kind::real: real(node, value); break;
      case Node::Kind::complex: complex(node, value); break;
      case Node::Kind::text: text(node, value); break;
      case Node::Kind::fixed_bytes:
      case Node::Kind::fixed_text: fixed(node, value); break;
      case Node::Kind::none:
        if (!value.is_none()) mismatch(node, value);
        break;
      case Node::Kind::value: encode_value(encoder_, value); break;
      case Node::Kind::list: list(node, value); break;
      case Node::Kind::fixed_list:
        if (!write_block(node.part(0), value, node.count)) items(node, value, node.count);
        break;
      case Node::Kind::set: set(node, value); break;
      case Node::Kind::map: map(node, value); break;
      case Node::Kind::tuple:
      case Node::Kind::object: tuple(node, value); break;
      case Node::Kind::structure: structure(node, value); break;
      case Node::Kind::variant: variant(node, value); break;
      case Node::Kind::maybe:
        encoder_.scalar(static_cast<unsigned char>(!value.is_none()));
        if (!value.is_none()) write(node.part(0), value);
        break;
      case Node::Kind::shared: shared(node, value); break;
      case Node::Kind::array: array(node, value); break;
      case Node::Kind::quantity: write(node.part(0), time_count(value)); break;
      case Node::Kind::back: write(node.resolved(), value); break;
    }
  }

  // --- numbers and text ---------------------------------------------------------------------------

  template <class T>
  void put_integer(const Node& node, const Value& value, const Number& number) {
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

  void integer(const Node& node, const Value& value) {
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

  /// A float from what Python may have written for one: an integer counts if it stays exact.
  double as_real(const Node& node, const Value& value, const Number& number) {
    if (number.kind == Kind::real) return number.real;
    if (number.kind == Kind::integer) {
      const auto rounded = static_cast<double>(number.integer);
      if (rounded < 0x1p63 && static_cast<std::int64_t>(rounded) == number.integer) return rounded;
    }
    mismatch(node, value);
  }
  void put_real(std::size_t bytes, double number) {
    if (bytes == 2) {
      encoder_.scalar(Float16(static_cast<float>(number)).bits);
    } else if (bytes == 4) {
      encoder_.scalar(static_cast<float>(number));
    } else if (bytes == 8) {
      encoder_.scalar(number);
    } else {
      const auto extended = static_cast<long double>(number);
      std::array<unsigned char, 10> ten;
      std::memcpy(ten.data(), &extended, ten.size());
      encoder_.scalar(ten);
    }
  }
  /// x87 numbers in a NumPy scalar keep all their bits.
  bool put_extended(const Value& value, char kind, std::size_t numbers) {
    if (value.kind() != Kind::scalar || value.dtype().kind != kind ||
        value.dtype().itemsize != 16 * numbers || value.dtype().big_endian) {
      return false;
    }
    for (std::size_t i = 0; i < numbers; ++i) {
      std::array<char, 10> ten;
      std::memcpy(ten.data(), value.as_bytes().data() + 16 * i, ten.size());
      encoder_.scalar(ten);
    }
    return true;
  }
  void real(const Node& node, const Value& value) {
    if (node.bytes == 10 && put_extended(value, 'f', 1)) return;
    const auto number = number_of(value);
    if (!number) mismatch(node, value);
    put_real(node.bytes, as_real(node, value, *number));
  }
  void complex(const Node& node, const Value& value) {
    if (node.bytes == 20 && put_extended(value, 'c', 2)) return;
    const auto number = number_of(value);
    if (!number) mismatch(node, value);
    const bool both = number->kind == Kind::complex;
    put_real(node.bytes / 2, both ? number->real : as_real(node, value, *number));
    put_real(node.bytes / 2, both ? number->imaginary : 0);
  }

  /// Text, bytes, or an element of a text array.
  std::optional<std::string> characters(const Value& value) const {
    const auto fixed_dtype = [](const DType& dtype) {
      return dtype.kind == 'U' || dtype.kind == 'S';
    };
    switch (value.kind()) {
      case Kind::text: return value.as_text();
      case Kind::bytes: return value.as_bytes();
      case Kind::scalar:
        if (!fixed_dtype(value.dtype())) return std::nullopt;
        return text_of(value.dtype(), reinterpret_cast<const std::byte*>(value.as_bytes().data()));
      case Kind::array:
        if (!value.shape().empty() || !fixed_dtype(value.dtype())) return std::nullopt;
        return text_of(value.dtype(), value.elements().data);
      default: return std::nullopt;
    }
  }
  void text(const Node& node, const Value& value) {
    if (value.kind() == Kind::text || value.kind() == Kind::bytes) {
      const auto& text = value.kind() == Kind::text ? value.as_text() : value.as_bytes();
      encoder_.length(text.size());
      encoder_.block(text.data(), text.size());
      return;
    }
    auto text = characters(value);
    if (!text) mismatch(node, value);
    const Value& kept = made_.emplace_back(std::move(*text));
    encoder_.length(kept.size());
    encoder_.block(kept.as_text().data(), kept.size());
  }
  void fixed(const Node& node, const Value& value) {
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
    const Value& kept = made_.emplace_back(Value::bytes(std::move(bytes)));
    encoder_.block(kept.as_bytes().data(), room);
  }

  /// A duration or time point from a count with a unit that NumPy keeps beside it.
  static Value time_count(const Value& value) {
    const bool scalar = value.kind() == Kind::scalar;
    if ((!scalar && value.kind() != Kind::array) ||
        (value.dtype().kind != 'm' && value.dtype().kind != 'M')) {
      return value;
    }
    DType count{.kind = 'i', .big_endian = value.dtype().big_endian, .itemsize = 8};
    if (scalar) return Value::scalar(std::move(count), value.as_bytes());
    Value::Elements elements = value.elements();
    elements.dtype = std::move(count);
    return Value(std::move(elements));
  }

  // --- sequences ----------------------------------------------------------------------------------

  /// The number of items of a list, tuple, set or array.
  std::size_t length_of(const Node& node, const Value& value) const {
    switch (value.kind()) {
      case Kind::list:
      case Kind::tuple:
      case Kind::set:
      case Kind::frozen_set: return value.items().size();
      case Kind::array:
      case Kind::objects:
        if (!value.shape().empty()) return value.shape()[0];
        break;
      default: break;
    }
    mismatch(node, value);
  }
  /// Item `i` of those.
  Value item(const Node& node, const Value& value, std::size_t i) {
    if (value.kind() == Kind::objects && value.shape().size() != 1) mismatch(node, value);
    if (value.kind() != Kind::array) return value.items()[i];
    const auto& elements = value.elements();
    if (elements.shape.size() == 1) {
      return element_value(elements.dtype, elements.data + i * elements.dtype.itemsize);
    }
    if (elements.order == Order::fortran) mismatch(node, value);
    made_.emplace_back(row_of(elements, i));
    return made_.back();
  }
  void items(const Node& node, const Value& value, std::size_t expected) {
    const std::size_t n = length_of(node, value);
    if (n != expected) {
      mismatch("has " + std::to_string(n) + " items where " + cut(node.text) + " has " +
               std::to_string(expected));
    }
    for (std::size_t i = 0; i < n; ++i) {
      const Step step(*this, std::to_string(i));
      write(node.part(0), item(node, value, i));
    }
  }

  /// Elements that a vector encodes as one block, from an array of just such elements. `count`: as
  /// many as the type has, or as there are (with their number in front).
  bool write_block(const Node& part, const Value& value, std::optional<std::size_t> count) {
    const auto layout = element_layout(part);
    if (!layout || !(layout->block || part.kind == Node::Kind::boolean)) return false;
    if (value.kind() != Kind::array) return false;
    const auto [base, inner] = flattened(layout->dtype);
    const auto& elements = value.elements();
    if (elements.shape.size() != inner.size() + 1 ||
        !std::equal(inner.begin(), inner.end(), elements.shape.begin() + 1) ||
        !repackable(elements.dtype, base)) {
      return false;
    }
    const std::size_t n = elements.shape[0];
    if (count && *count != n) return false;
    if (!count) encoder_.length(n);
    const Value& dense = made_.emplace_back(converted(elements, base, true));
    const std::byte* data = dense.elements().data;
    const std::size_t bytes = dense.elements().nbytes();
    if (has_bad_bools(dense.elements())) mismatch("holds a bool that is neither 0 nor 1");
    if (part.kind == Node::Kind::boolean) {
      for (std::size_t i = 0; i < bytes; ++i) encoder_.scalar(data[i]);
    } else {
      encoder_.block(data, bytes);
    }
    return true;
  }

  void list(const Node& node, const Value& value) {
    const Node& part = node.part(0);
    if (write_block(part, value, std::nullopt)) return;
    const std::size_t n = length_of(node, value);
    encoder_.length(n);
    const auto layout = element_layout(part);
    if (layout && layout->block) {
      // The elements of a block stand side by side: in one piece from the threshold on.
      Writer inner(mapped_);
      inner.path_ = path_;
      for (std::size_t i = 0; i < n; ++i) {
        const Step step(inner, std::to_string(i));
        inner.write(part, item(node, value, i));
      }
      const Encoded encoded = inner.encoder_.take();
      if (!encoded.segments.empty()) mismatch(node, value);
      const Value& kept = made_.emplace_back(Value::bytes(
          std::string(reinterpret_cast<const char*>(encoded.meta.data()), encoded.meta.size())));
      encoder_.block(kept.as_bytes().data(), kept.as_bytes().size());
      return;
    }
    for (std::size_t i = 0; i < n; ++i) {
      const Step step(*this, std::to_string(i));
      write(part, item(node, value, i));
    }
  }

  void set(const Node& node, const Value& value) {
    const std::size_t n = length_of(node, value);
    encoder_.length(n);
    for (std::size_t i = 0; i < n; ++i) {
      const Step step(*this, std::to_string(i));
      write(node.part(0), item(node, value, i));
    }
  }

  void tuple(const Node& node, const Value& value) {
    const std::size_t n = length_of(node, value);
    if (n != node.parts.size()) {
      mismatch("has " + std::to_string(n) + " items where " + cut(node.text) + " has " +
               std::to_string(node.parts.size()));
    }
    for (std::size_t i = 0; i < n; ++i) {
      const Step step(*this, std::to_string(i));
      write(node.part(i), item(node, value, i));
    }
  }

  // --- by name ------------------------------------------------------------------------------------

  void map(const Node& node, const Value& value) {
    if (value.kind() != Kind::dict) mismatch(node, value);
    encoder_.length(value.entries().size());
    for (const auto& [key, part] : value.entries()) {
      const Step step(*this, key.to_string(60));
      write(node.part(0), key);
      write(node.part(1), part);
    }
  }

  void structure(const Node& node, const Value& value) {
    if (value.kind() == Kind::tuple) return tuple(node, value);  // what keys become
    if (value.kind() == Kind::scalar && value.dtype().fields) {
      const auto* data = reinterpret_cast<const std::byte*>(value.as_bytes().data());
      return structure(node, made_.emplace_back(element_value(value.dtype(), data)));
    }
    if (value.kind() != Kind::dict) mismatch(node, value);
    for (const auto& [key, part] : value.entries()) {
      const bool known = key.kind() == Kind::text && std::find(node.names.begin(), node.names.end(),
                                                               key.as_text()) != node.names.end();
      if (!known) mismatch("has " + key.to_string(60) + ", which " + cut(node.text) + " has not");
    }
    for (std::size_t i = 0; i < node.parts.size(); ++i) {
      const Value* part = value.find(node.names[i]);
      if (part == nullptr) {
        mismatch("has no \"" + node.names[i] + "\", which " + cut(node.text) + " has");
      }
      const Step step(*this, "\"" + node.names[i] + "\"");
      write(node.part(i), *part);
    }
  }

  /// The first alternative that takes the value.
  void variant(const Node& node, const Value& value) {
    for (std::size_t i = 0; i < node.parts.size(); ++i) {
      Writer attempt(mapped_);
      try {
        attempt.write(node.part(i), value);
      } catch (const WrongType&) {
        continue;
      }
      encoder_.length(i);
      write(node.part(i), value);
      return;
    }
    mismatch("is " + value.kind_name() + ", which no alternative of " + cut(node.text) + " takes");
  }

  void shared(const Node& node, const Value& value) {
    if (value.is_none()) {
      encoder_.length(0);
      return;
    }
    const auto known = objects_.find({value.node(), node.part(0).text});
    if (value.node() != nullptr && known != objects_.end()) {
      encoder_.length(known->second);
      return;
    }
    encoder_.length(++shared_);
    if (value.node() != nullptr) {
      objects_.emplace(std::pair(value.node(), node.part(0).text), shared_);
      made_.push_back(value);  // so that its address stays taken
    }
    write(node.part(0), value);
  }

  // --- arrays -------------------------------------------------------------------------------------

  void array(const Node& node, const Value& value) {
    const auto layout = element_layout(node.part(0));
    if (!layout) mismatch(node, value);
    const auto [base, inner] = flattened(layout->dtype);
    Value::Elements elements = array_elements(node, value, base);
    if (inner.size() > elements.shape.size() ||
        !std::equal(inner.rbegin(), inner.rend(), elements.shape.rbegin())) {
      mismatch("is " + value.kind_name() + " where elements of " + cut(node.part(0).text) +
               " are asked for: its last axes do not fit");
    }
    if (!repackable(elements.dtype, base)) {
      mismatch("is an array of " + elements.dtype.text() + " where " + base.text() +
               " is asked for");
    }
    const bool fits = same_layout(elements.dtype, base) &&
                      (inner.empty() || elements.order == Order::c || elements.shape.size() < 2);
    if (!fits && mapped_) {
      mismatch("is an array of " + elements.dtype.text() +
               (elements.order == Order::fortran ? " in Fortran order" : "") +
               ", which can't be used as " + base.text() + " where it lies: load it without mmap");
    }
    if (!fits) elements = converted(elements, base, !inner.empty());
    if (!mapped_ && has_bad_bools(elements)) mismatch("holds a bool that is neither 0 nor 1");
    Shape shape = elements.shape;
    shape.resize(shape.size() - inner.size());
    Order order = elements.order;
    traverse_extents(encoder_, shape, order);
    encoder_.array_block(elements.data, elements.nbytes(), elements.storage);
  }

  /// An array, or a single element or a list of numbers taken for one.
  Value::Elements array_elements(const Node& node, const Value& value, const DType& base) {
    if (value.kind() == Kind::array) return value.elements();
    if (value.kind() == Kind::scalar) {
      auto storage = allocate_storage(value.as_bytes().size(), Fill::none);
      std::memcpy(storage->data(), value.as_bytes().data(), value.as_bytes().size());
      const std::byte* data = storage->data();
      return {value.dtype(), {}, Order::c, std::move(storage), data};
    }
    if (value.kind() != Kind::list && value.kind() != Kind::tuple) mismatch(node, value);
    Writer inner(mapped_);
    inner.path_ = path_;
    for (std::size_t i = 0; i < value.items().size(); ++i) {
      const Step step(inner, std::to_string(i));
      inner.write(node.part(0), value.items()[i]);
    }
    const Encoded encoded = inner.encoder_.take();
    if (encoded.meta.size() != value.items().size() * base.itemsize) mismatch(node, value);
    auto storage = allocate_storage(encoded.meta.size(), Fill::none);
    std::copy(encoded.meta.begin(), encoded.meta.end(), storage->data());
    const std::byte* data = storage->data();
    return {base, {value.items().size()}, Order::c, std::move(storage), data};
  }

  bool mapped_;
  Encoder encoder_;
  std::string path_;
  std::deque<Value> made_;  // what the encoding borrows from beside the value itself
  std::map<std::pair<const Value::Node*, std::string_view>, std::size_t> objects_;
  std::size_t shared_ = 0;
};

}  // namespace

EncodedValue encode_as(const SchemaNode& schema, const Value& value, bool mapped) {
  return Writer(mapped).run(schema, value);
}

void decode_from_value(const Value& value, const std::string& schema, void* to,
                       void (*run)(void* to, DecodeSource& source)) {
  const ParsedSchema parsed(schema);
  const EncodedValue made = encode_as(parsed.root(), value, false);
  SharingSource source(made.encoded, nullptr);
  run(to, source);
}

}  // namespace hoist::detail
