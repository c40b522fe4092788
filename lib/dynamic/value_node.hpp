// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/value.hpp>

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace hoist {

/// The shared part of a Value. A reader may change one that it has just made; afterwards it is
/// immutable.
struct Value::Node {
  explicit Node(Kind k) : kind(k) {}
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;
  virtual ~Node() = default;
  Kind kind;
};

}  // namespace hoist

namespace hoist::detail::dynamic {

using Kind = Value::Kind;

/// Text, bytes, big integers.
struct TextNode final : Value::Node {
  TextNode(Kind k, std::string t) : Node(k), text(std::move(t)) {}
  TextNode(Kind k, std::shared_ptr<Storage> s, std::size_t n)
      : Node(k), storage(std::move(s)), size(n) {}
  std::string_view bytes() const {
    if (latin1) widen();
    if (storage == nullptr) return text;
    return {reinterpret_cast<const char*>(storage->data()), size};
  }
  /// Makes Latin-1 UTF-8.
  void widen() const;

  std::string text;
  // Instead of `text`, of what is large: `size` bytes that an array or a string may take over.
  mutable std::shared_ptr<Storage> storage;
  mutable std::size_t size = 0;
  // Only inside a reader, which is one thread: the bytes in the storage are characters of Latin-1.
  mutable bool latin1 = false;
};

struct ComplexNode final : Value::Node {
  explicit ComplexNode(std::complex<double> v) : Node(Kind::complex), value(v) {}
  std::complex<double> value;
};

/// Lists, tuples, sets, slices, ranges, timedeltas.
struct ItemsNode : Value::Node {
  ItemsNode(Kind k, std::vector<Value> v) : Node(k), items(std::move(v)) {}
  ~ItemsNode() override;
  std::vector<Value> items;
};

struct DictNode final : Value::Node {
  explicit DictNode(std::vector<Value::Entry> e) : Node(Kind::dict), entries(std::move(e)) {}
  ~DictNode() override;
  std::vector<Value::Entry> entries;
};

/// Arrays; those of objects have items (in C order) instead of data.
struct ArrayNode final : ItemsNode {
  explicit ArrayNode(Value::Elements e) : ItemsNode(Kind::array, {}), elements(std::move(e)) {}
  Value::Elements elements;
};

struct ScalarNode final : Value::Node {
  ScalarNode(DType d, std::string b)
      : Node(Kind::scalar), dtype(std::move(d)), bytes(std::move(b)) {}
  DType dtype;
  std::string bytes;
};

struct DTypeNode final : Value::Node {
  explicit DTypeNode(DType d) : Node(Kind::dtype), dtype(std::move(d)) {}
  DType dtype;
  bool built = true;  // a reader of pickles makes a dtype in two steps
};

struct MomentNode final : Value::Node {
  MomentNode(Kind k, Value::DateTime w) : Node(k), when(w) {}
  Value::DateTime when;
};

/// Whether the kind is one of these, and Python has such a date and time.
bool is_moment(Kind kind, const Value::DateTime& when);

[[noreturn]] void throw_kind(const Value& value, const char* wanted);

/// The node of a value that is known to have one of that type.
template <class N>
const N& node_as(const Value& value) {
  return static_cast<const N&>(*value.node());
}
/// Only for readers, and only for values that nobody else has seen.
template <class N>
N& mutable_node(const Value& value) {
  return const_cast<N&>(node_as<N>(value));
}

}  // namespace hoist::detail::dynamic
