// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/error.hpp>

#include <cstring>

#include "dynamic/conversion.hpp"
#include "dynamic/dtype_check.hpp"
#include "dynamic/elements.hpp"
#include "dynamic/schema_types.hpp"
#include "dynamic/value_node.hpp"

namespace hoist::detail {

namespace {

using Node = SchemaNode;

class Reader {
 public:
  Reader(Decoder& decoder, std::uint64_t max_nodes) : decoder_(decoder), nodes_left_(max_nodes) {}

  /// `key`: the value has to be hashable in Python, so lists become tuples.
  Value read(const Node& node, bool key = false) {
    const Decoder::Depth depth(decoder_);
    count(1);
    switch (node.kind) {
      case Node::Kind::boolean: {
        const auto byte = scalar<unsigned char>();
        if (byte > 1) Decoder::throw_damaged();
        return Value(byte == 1);
      }
      case Node::Kind::integer: return Value(signed_integer(node.bytes));
      case Node::Kind::natural: return Value(unsigned_integer(node.bytes));
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
      case Node::Kind::list: return list(node, key);
      case Node::Kind::fixed_list: return fixed_list(node, key);
      case Node::Kind::set: {
        const std::size_t n = decoder_.length(no_bytes(node.part(0)));
        return Value::set(items(node.part(0), n, true));
      }
      case Node::Kind::map: return map(node);
      case Node::Kind::tuple:
      case Node::Kind::object: return Value::tuple(parts(node, key));
      case Node::Kind::structure: return structure(node, key);
      case Node::Kind::variant: {
        const std::size_t index = decoder_.length();
        if (index >= node.parts.size()) Decoder::throw_damaged();
        return read(node.part(index), key);
      }
      case Node::Kind::maybe: {
        const auto present = scalar<unsigned char>();
        if (present > 1) Decoder::throw_damaged();
        return present == 1 ? read(node.part(0), key) : Value();
      }
      case Node::Kind::shared: return shared(node, key);
      case Node::Kind::array: return array(node);
      case Node::Kind::quantity: return read(node.part(0), key);
      case Node::Kind::back: break;
    }
    Decoder::throw_damaged();
  }

 private:
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

  /// What the encoding of a number has in front of the padding that NumPy's form of it has.
  Value extended(char kind, std::size_t numbers) {
    std::string bytes(16 * numbers, '\0');
    for (std::size_t i = 0; i < numbers; ++i) {
      const auto ten = scalar<std::array<char, 10>>();
      std::copy(ten.begin(), ten.end(), bytes.begin() + static_cast<std::ptrdiff_t>(16 * i));
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
      default: return extended('f', 1);
    }
  }
  Value complex(std::size_t bytes) {
    if (bytes == 20) return extended('c', 2);
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
    bytes.reserve(decoder_.plausible(n));
    for (std::size_t i = 0; i < n; ++i) bytes.push_back(scalar<std::byte>());
    check_bools(bytes.data(), n);
    auto storage = allocate_storage(n, Fill::none);
    std::copy(bytes.begin(), bytes.end(), storage->data());
    const std::byte* data = storage->data();
    return Value(Value::Elements{
        DType{.kind = 'b', .itemsize = 1}, {n}, Order::c, std::move(storage), data});
  }

  Value list(const Node& node, bool key) {
    const Node& part = node.part(0);
    const std::size_t n = decoder_.length(no_bytes(part));
    return elements_of(part, n, key);
  }
  Value fixed_list(const Node& node, bool key) {
    return elements_of(node.part(0), node.count, key);
  }
  Value elements_of(const Node& part, std::size_t n, bool key) {
    const auto layout = element_layout(part);
    Value value;
    if (layout && layout->block) {
      value = block(layout->dtype, {n});
    } else if (part.kind == Node::Kind::boolean) {
      value = bools(n);
    } else {
      auto all = items(part, n, key);
      return key ? Value::tuple(std::move(all)) : Value::list(std::move(all));
    }
    if (!key) return value;
    count(n);
    std::vector<Value> all;
    const auto& elements = value.elements();
    const std::size_t total = elements.size();
    for (std::size_t i = 0; i < total; ++i) {
      all.push_back(element_value(elements.dtype, elements.data + i * elements.dtype.itemsize));
    }
    return Value::tuple(std::move(all));
  }

  std::vector<Value> items(const Node& part, std::size_t n, bool key) {
    std::vector<Value> all;
    all.reserve(decoder_.plausible(n));
    for (std::size_t i = 0; i < n; ++i) all.push_back(read(part, key));
    return all;
  }
  std::vector<Value> parts(const Node& node, bool key) {
    std::vector<Value> all;
    for (std::size_t i = 0; i < node.parts.size(); ++i) all.push_back(read(node.part(i), key));
    return all;
  }

  Value map(const Node& node) {
    const std::size_t n = decoder_.length();
    std::vector<Value::Entry> entries;
    entries.reserve(decoder_.plausible(n));
    for (std::size_t i = 0; i < n; ++i) {
      Value key = read(node.part(0), true);
      entries.emplace_back(std::move(key), read(node.part(1)));
    }
    return Value::dict(std::move(entries));
  }

  Value structure(const Node& node, bool key) {
    if (key) return Value::tuple(parts(node, true));
    std::vector<Value::Entry> entries;
    for (std::size_t i = 0; i < node.parts.size(); ++i) {
      entries.emplace_back(node.names[i], read(node.part(i)));
    }
    return Value::dict(std::move(entries));
  }

  Value shared(const Node& node, bool key) {
    const std::size_t number = decoder_.length();
    if (number == 0) return {};
    if (number <= objects_.size()) {
      const auto& known = objects_[number - 1];
      if (!known.done) {
        throw CannotTravel(
            "an object behind a shared_ptr refers to itself: that can only be read "
            "as its own type");
      }
      return known.value;
    }
    if (number != objects_.size() + 1) Decoder::throw_damaged();
    objects_.push_back({});
    Value value = read(node.part(0), key);
    objects_[number - 1] = {value, true};
    return value;
  }

  Value array(const Node& node) {
    const auto layout = element_layout(node.part(0));
    if (!layout) Decoder::throw_damaged();
    Shape shape;
    Order order{};
    traverse_extents(decoder_, shape, order);
    auto [base, inner] = flattened(layout->dtype);
    if (!inner.empty() && order == Order::fortran && shape.size() > 1) {
      base = layout->dtype;  // only rows of elements can be folded into the shape
    } else {
      shape.insert(shape.end(), inner.begin(), inner.end());
      if (!inner.empty()) order = Order::c;
    }
    const std::size_t bytes = checked_bytes(base, shape);
    Value::Elements elements{std::move(base), std::move(shape), order, nullptr, nullptr};
    if (bytes > 0) {
      elements.storage = decoder_.array_block(bytes, false);
      elements.data = elements.storage->data();
    }
    return Value(std::move(elements));
  }

  struct Object {
    Value value;
    bool done = false;
  };

  Decoder& decoder_;
  std::uint64_t nodes_left_;
  std::vector<Object> objects_;
};

}  // namespace

Value read_value(const SchemaNode& schema, Decoder& decoder, std::uint64_t max_nodes) {
  return Reader(decoder, max_nodes).read(schema);
}

Value value_from_encoded(const std::string& schema, std::shared_ptr<const Encoded> encoded) {
  // What the encoder borrowed from the value must outlive it.
  auto own = std::make_shared<Encoded>(*encoded);
  for (Segment& segment : own->segments) {
    if (segment.owner != nullptr) continue;
    segment.owner = allocate_storage(segment.bytes, Fill::none);
    std::memcpy(segment.owner->data(), segment.data, segment.bytes);
    segment.data = segment.owner->data();
  }
  SharingSource source(*own, nullptr);
  Decoder decoder(source);
  const ParsedSchema parsed(schema);
  Value value = read_value(parsed.root(), decoder, ~std::uint64_t{0});
  decoder.finish();
  return value;
}

std::span<const std::byte> SharingSource::next_meta() { return std::exchange(meta_, {}); }

void SharingSource::expect_segment(std::size_t bytes) {
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

}  // namespace hoist::detail
