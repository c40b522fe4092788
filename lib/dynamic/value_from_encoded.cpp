// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/error.hpp>

#include <algorithm>
#include <cstring>

#include "dynamic/conversion.hpp"
#include "dynamic/dtype_check.hpp"
#include "dynamic/elements.hpp"
#include "dynamic/extended.hpp"
#include "dynamic/schema_types.hpp"
#include "dynamic/value_node.hpp"

namespace hoist::detail::dynamic {

namespace {

using Node = SchemaNode;

/// Puts the parts that it is told of together.
class Builder final : public ValueVisitor {
 public:
  Value take() { return std::move(whole_); }

  void part(Value value) override { last() = std::move(value); }
  void begin(Kind kind, std::size_t n) override {
    auto& items = open_.emplace_back(kind).items;
    items.reserve(std::min(n, std::size_t{1024}));  // `n` is only what the file says
  }
  void end() override {
    const Kind kind = open_.back().kind;
    std::vector<Value> items = std::move(open_.back().items);
    open_.pop_back();
    part(kind == Kind::dict ? dict(items) : Value::sequence(kind, std::move(items)));
  }
  void object(std::size_t number) override {
    objects_.resize(std::max(objects_.size(), number));
    objects_[number - 1] = open_.empty() ? whole_ : open_.back().items.back();
  }
  void object_again(std::size_t number) override { part(objects_[number - 1]); }

 private:
  /// Where the next part belongs.
  Value& last() { return open_.empty() ? whole_ : open_.back().items.emplace_back(); }

  static Value dict(std::vector<Value>& items) {
    std::vector<Value::Entry> entries;
    entries.reserve(items.size() / 2);
    for (std::size_t i = 0; i + 1 < items.size(); i += 2) {
      entries.emplace_back(std::move(items[i]), std::move(items[i + 1]));
    }
    return Value::dict(std::move(entries));
  }

  struct Open {
    explicit Open(Kind k) : kind(k) {}
    Kind kind;
    std::vector<Value> items;
  };
  std::vector<Open> open_;
  Value whole_;
  std::vector<Value> objects_;
};

class Reader {
 public:
  Reader(Decoder& decoder, std::uint64_t max_nodes, ValueVisitor& visitor)
      : decoder_(decoder), nodes_left_(max_nodes), visitor_(visitor) {}

  /// `key`: the value has to be hashable in Python, so lists become tuples, and sets frozen sets.
  void read(const Node& node, bool key = false) {
    const Decoder::Depth depth(decoder_);
    count(1);
    switch (node.kind) {
      case Node::Kind::list: return elements_of(node.part(0), length(node), key);
      case Node::Kind::fixed_list: return elements_of(node.part(0), node.count, key);
      case Node::Kind::set:
        return items(key ? Kind::frozen_set : Kind::set, node.part(0), length(node), true);
      case Node::Kind::map: return map(node);
      case Node::Kind::tuple:
      case Node::Kind::object: return tuple(node, key);
      case Node::Kind::structure: return key ? tuple(node, true) : structure(node);
      case Node::Kind::variant: {
        const std::size_t index = decoder_.length();
        if (index >= node.parts.size()) Decoder::throw_damaged();
        return read(node.part(index), key);
      }
      case Node::Kind::maybe: {
        const auto present = scalar<unsigned char>();
        if (present > 1) Decoder::throw_damaged();
        return present == 1 ? read(node.part(0), key) : visitor_.part({});
      }
      case Node::Kind::shared: return shared(node, key);
      case Node::Kind::any: return object(key);
      case Node::Kind::quantity: return read(node.part(0), key);
      default: visitor_.part(single(node));
    }
  }

 private:
  Value single(const Node& node) {
    switch (node.kind) {
      case Node::Kind::boolean: {
        const auto byte = scalar<unsigned char>();
        if (byte > 1) Decoder::throw_damaged();
        return Value(byte == 1);
      }
      case Node::Kind::integer:
        return node.bytes == 16 ? wide_integer(false) : Value(signed_integer(node.bytes));
      case Node::Kind::natural:
        return node.bytes == 16 ? wide_integer(true) : Value(unsigned_integer(node.bytes));
      case Node::Kind::real: return real(node.bytes);
      case Node::Kind::complex: return complex(node.bytes);
      case Node::Kind::text: return text();
      case Node::Kind::fixed_bytes:
      case Node::Kind::fixed_text: return fixed(node);
      case Node::Kind::none: return {};
      case Node::Kind::value: {
        Value value;
        decode_value(decoder_, value);
        return value;
      }
      case Node::Kind::array: return array(node);
      default: Decoder::throw_damaged();
    }
  }

  template <class T>
  T scalar() {
    T value{};
    decoder_.scalar(value);
    return value;
  }

  void count(std::size_t n) {
    if (n > nodes_left_) {
      throw LimitExceeded("the value has more parts than Limits::max_nodes allows");
    }
    nodes_left_ -= n;
  }

  static bool no_bytes(const Node& node) {
    return node.kind == Node::Kind::none ||
           (node.kind == Node::Kind::structure && node.parts.empty());
  }

  std::int64_t signed_integer(std::size_t bytes) {
    switch (bytes) {
      case 1: return scalar<std::int8_t>();
      case 2: return scalar<std::int16_t>();
      case 4: return scalar<std::int32_t>();
      default: return scalar<std::int64_t>();
    }
  }
  std::uint64_t unsigned_integer(std::size_t bytes) {
    switch (bytes) {
      case 1: return scalar<std::uint8_t>();
      case 2: return scalar<std::uint16_t>();
      case 4: return scalar<std::uint32_t>();
      default: return scalar<std::uint64_t>();
    }
  }

  Value wide_integer(bool is_natural) {
    const auto bytes = scalar<std::array<char, 16>>();
    std::string number(bytes.begin(), bytes.end());
    if (is_natural) number.push_back('\0');
    return Value::integer(number);
  }

  /// As the scalar that NumPy has on this processor.
  Value extended(char kind, std::size_t numbers, std::size_t bytes_each) {
    std::string bytes;
    for (std::size_t i = 0; i < numbers; ++i) {
      const LongDouble number = bytes_each == x87_bytes
                                    ? long_double_from(scalar<std::array<char, x87_bytes>>())
                                    : long_double_from(scalar<std::array<char, quad_bytes>>());
      bytes.append(number.begin(), number.end());
    }
    const DType dtype{.kind = kind, .itemsize = bytes.size()};
    return Value::scalar(dtype, std::move(bytes));
  }
  Value real(std::size_t bytes) {
    switch (bytes) {
      case 2: {
        Float16 half;
        half.bits = scalar<std::uint16_t>();
        return Value(static_cast<float>(half));
      }
      case 4: return Value(scalar<float>());
      case 8: return Value(scalar<double>());
      default: return extended('f', 1, bytes);
    }
  }
  Value complex(std::size_t bytes) {
    if (bytes > 16) return extended('c', 2, bytes / 2);
    const double re = bytes == 8 ? scalar<float>() : scalar<double>();
    const double im = bytes == 8 ? scalar<float>() : scalar<double>();
    return Value(std::complex<double>(re, im));
  }

  Value text() {
    const Value bytes = read_text(decoder_, Kind::bytes);
    if (is_utf8(bytes.as_bytes())) mutable_node<TextNode>(bytes).kind = Kind::text;
    return bytes;
  }

  Value fixed(const Node& node) {
    const bool wide = node.kind == Node::Kind::fixed_text;
    const DType dtype{.kind = wide ? 'U' : 'S', .itemsize = node.count * (wide ? 4 : 1)};
    decoder_.expect_block<std::byte>(dtype.itemsize);
    std::vector<std::byte> bytes(dtype.itemsize);
    decoder_.block(bytes.data(), bytes.size());
    std::string content = text_of(dtype, bytes.data());
    return is_utf8(content) ? Value(std::move(content)) : Value::bytes(std::move(content));
  }

  /// Elements that lie in one block, in the meta stream or in a segment.
  Value block(const DType& element, Shape shape) {
    auto [base, inner] = flattened(element);
    shape.insert(shape.end(), inner.begin(), inner.end());
    const std::size_t bytes = checked_bytes(base, shape);
    Value::Elements elements{std::move(base), std::move(shape), Order::c, nullptr, nullptr};
    if (bytes >= segment_threshold) {
      elements.storage = decoder_.array_block(bytes, false);
    } else {
      decoder_.expect_block<std::byte>(bytes);
      elements.storage = allocate_storage(bytes, Fill::none);
      decoder_.block(elements.storage->data(), bytes);
    }
    elements.data = elements.storage->data();
    return Value(std::move(elements));
  }

  Value bools(std::size_t n) {
    count(n);
    std::vector<std::byte> bytes;
    bytes.reserve(decoder_.plausible<char>(n));
    for (std::size_t i = 0; i < n; ++i) bytes.push_back(scalar<std::byte>());
    check_bools(bytes.data(), n);
    auto storage = allocate_storage(n, Fill::none);
    std::copy(bytes.begin(), bytes.end(), storage->data());
    const std::byte* data = storage->data();
    return Value(Value::Elements{
        DType{.kind = 'b', .itemsize = 1}, {n}, Order::c, std::move(storage), data});
  }

  std::size_t length(const Node& node) { return decoder_.length(no_bytes(node.part(0))); }

  void elements_of(const Node& part, std::size_t n, bool key) {
    const auto layout = element_layout(part);
    const bool is_block = layout && layout->block;
    if (!is_block && part.kind != Node::Kind::boolean) {
      return items(key ? Kind::tuple : Kind::list, part, n, key);
    }
    Value value = is_block ? block(layout->dtype, {n}) : bools(n);
    if (!key) return visitor_.part(std::move(value));
    count(n);
    const auto& elements = value.elements();
    const std::byte* at = elements.data;
    key_items(elements.dtype, elements.shape, at);
  }

  /// Elements in a key: tuples, one within another for each axis. Moves `at` behind them.
  void key_items(const DType& dtype, std::span<const std::size_t> shape, const std::byte*& at) {
    if (shape.empty()) {
      key_item(dtype, at);
      at += dtype.itemsize;
      return;
    }
    visitor_.begin(Kind::tuple, shape[0]);
    for (std::size_t i = 0; i < shape[0]; ++i) key_items(dtype, shape.subspan(1), at);
    visitor_.end();
  }
  /// A structure is a tuple in a key, too: no dict is hashable in Python.
  void key_item(const DType& dtype, const std::byte* at) {
    if (dtype.base) return key_items(*dtype.base, dtype.shape, at);
    if (!dtype.fields) return visitor_.part(element_value(dtype, at));
    visitor_.begin(Kind::tuple, dtype.fields->size());
    for (const auto& field : *dtype.fields) key_item(field.type, at + field.offset);
    visitor_.end();
  }

  void items(Kind kind, const Node& part, std::size_t n, bool key) {
    visitor_.begin(kind, n);
    for (std::size_t i = 0; i < n; ++i) read(part, key);
    visitor_.end();
  }

  void tuple(const Node& node, bool key) {
    visitor_.begin(Kind::tuple, node.parts.size());
    for (std::size_t i = 0; i < node.parts.size(); ++i) read(node.part(i), key);
    visitor_.end();
  }

  void map(const Node& node) {
    const std::size_t n = decoder_.length();
    visitor_.begin(Kind::dict, n);
    for (std::size_t i = 0; i < n; ++i) {
      read(node.part(0), true);
      read(node.part(1));
    }
    visitor_.end();
  }

  void structure(const Node& node) {
    visitor_.begin(Kind::dict, node.parts.size());
    for (std::size_t i = 0; i < node.parts.size(); ++i) {
      visitor_.part(node.names[i]);
      read(node.part(i));
    }
    visitor_.end();
  }

  void shared(const Node& node, bool key) {
    const std::size_t number = decoder_.length();
    if (number == 0) return visitor_.part({});
    if (number <= objects_.size()) {
      if (!objects_[number - 1]) {
        throw CannotTravel(
            "an object behind a shared_ptr refers to itself: that can only be read "
            "as its own type");
      }
      return visitor_.object_again(number);
    }
    if (number != objects_.size() + 1) Decoder::throw_damaged();
    objects_.push_back(false);
    read(node.part(0), key);
    visitor_.object(number);
    objects_[number - 1] = true;
  }

  /// An object whose class and schema are in the data.
  void object(bool key) {
    const std::size_t number = decoder_.length(true);
    if (number > classes_.size()) Decoder::throw_damaged();
    if (number == classes_.size()) {
      std::string name;
      std::string schema;
      Form<std::string>::traverse(decoder_, name);
      Form<std::string>::traverse(decoder_, schema);
      classes_.push_back(std::make_unique<ParsedSchema>(std::move(schema)));
    }
    read(classes_[number]->root(), key);
  }

  Value array(const Node& node) {
    const auto layout = element_layout(node.part(0));
    if (!layout) Decoder::throw_damaged();
    Shape shape;
    Order order{};
    traverse_extents(decoder_, shape, order);
    const std::size_t bytes = checked_bytes(layout->dtype, shape);
    Value::Elements elements{layout->dtype, std::move(shape), order, nullptr, nullptr};
    if (bytes > 0) {
      elements.storage = decoder_.array_block(bytes, false);
      elements.data = elements.storage->data();
    }
    auto [base, inner] = flattened(layout->dtype);
    if (inner.empty()) return Value(std::move(elements));
    // Sub-arrays become axes, as in NumPy, where no array has them as elements. That is the order
    // of the bytes only if the axes before them are in C order.
    elements = converted(elements, elements.dtype, true);
    elements.order = Order::c;
    elements.dtype = std::move(base);
    elements.shape.insert(elements.shape.end(), inner.begin(), inner.end());
    checked_bytes(elements.dtype, elements.shape);  // the number of axes
    return Value(std::move(elements));
  }

  Decoder& decoder_;
  std::uint64_t nodes_left_;
  ValueVisitor& visitor_;
  std::vector<bool> objects_;  // whether each is whole
  std::vector<std::unique_ptr<const ParsedSchema>> classes_;
};

}  // namespace

ValueVisitor::~ValueVisitor() = default;

void visit_value(const SchemaNode& schema, Decoder& decoder, std::uint64_t max_nodes,
                 ValueVisitor& visitor) {
  Reader(decoder, max_nodes, visitor).read(schema);
}

Value read_value(const SchemaNode& schema, Decoder& decoder, std::uint64_t max_nodes) {
  Builder builder;
  visit_value(schema, decoder, max_nodes, builder);
  return builder.take();
}

}  // namespace hoist::detail::dynamic

namespace hoist::detail {

Value value_from_encoded(const std::string& schema, std::shared_ptr<const Encoded> encoded) {
  // What the encoder borrowed from the value must outlive it.
  auto own = std::make_shared<Encoded>(*encoded);
  for (Segment& segment : own->segments) {
    if (segment.owner != nullptr) continue;
    segment.owner = allocate_storage(segment.bytes, Fill::none);
    std::memcpy(segment.owner->data(), segment.data, segment.bytes);
    segment.data = segment.owner->data();
  }
  dynamic::SharingSource source(*own, nullptr);
  Decoder decoder(source);
  const dynamic::ParsedSchema parsed(schema);
  Value value = dynamic::read_value(parsed.root(), decoder, ~std::uint64_t{0});
  decoder.finish();
  return value;
}

}  // namespace hoist::detail

namespace hoist::detail::dynamic {

std::span<const std::byte> SharingSource::next_meta() {
  if (meta_.empty()) used_up();
  return std::exchange(meta_, {});
}

void SharingSource::expect_segment(std::size_t bytes) {
  if (segments_.empty()) used_up();
  if (segments_.empty() || segments_.front().bytes != bytes) Decoder::throw_damaged();
}

void SharingSource::read_segment(std::byte* to, std::size_t bytes) {
  std::memcpy(to, segments_.front().data, bytes);
  segments_ = segments_.subspan(1);
}

std::shared_ptr<Storage> SharingSource::take_segment(std::size_t bytes, bool writable) {
  const Segment segment = std::move(segments_.front());
  segments_ = segments_.subspan(1);
  if (segment.owner == nullptr) {
    return wrap_storage(const_cast<std::byte*>(segment.data), bytes, false,
                        std::const_pointer_cast<void>(keep_));
  }
  if (writable && !segment.owner->writable()) {
    throw WrongType(
        "MmapMode::read maps arrays read-only: ask for Array<const T>, or map with "
        "copy_on_write or read_write");
  }
  if (segment.owner->data() == segment.data) return segment.owner;
  return wrap_storage(const_cast<std::byte*>(segment.data), bytes, segment.owner->writable(),
                      segment.owner);
}

}  // namespace hoist::detail::dynamic
