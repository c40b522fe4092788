// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/value.hpp>

#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "dynamic/conversion.hpp"
#include "dynamic/elements.hpp"
#include "dynamic/extended.hpp"
#include "dynamic/schema_parser.hpp"
#include "dynamic/value_node.hpp"

namespace hoist::detail::dynamic {

/// Encodes a Value as one of a given schema; what `encode_as` does.
class ValueWriter {
 public:
  explicit ValueWriter(const Conversion& how, EncodeSink* sink = nullptr)
      : how_(how), encoder_(sink) {}

  Encoded run(const SchemaNode& node, const Value& value) {
    write(node, value);
    return encoder_.take();
  }
  /// With a sink: encodes a value, which is given up, as the next of several, which lies at `path`.
  void add(const SchemaNode& node, Value value, const std::string& path = {}) {
    path_ = path;
    sole_ = !value.is_shared();
    write(node, value);
    value = {};
    sole_ = false;
  }
  void finish() { encoder_.finish(); }

 protected:
  using Node = SchemaNode;

  /// One step deeper: into an item, entry or member.
  class Step {
   public:
    Step(ValueWriter& writer, const std::string& name)
        : path_(writer.path_), before_(path_.size()) {
      path_ += "[" + name + "]";
    }
    ~Step() { path_.resize(before_); }
    Step(const Step&) = delete;
    Step& operator=(const Step&) = delete;

   private:
    std::string& path_;
    std::size_t before_;
  };

  /// A schema, cut for a message.
  static std::string cut(std::string_view schema);
  [[noreturn]] void mismatch(const std::string& what) const;
  [[noreturn]] void mismatch(const Node& node, const Value& value) const;
  [[noreturn]] void mismatch_missing(const Node& node, const std::string& member) const;
  [[noreturn]] void mismatch_unknown(const Node& node, const Value& member) const;
  void write(const Node& node, const Value& value);
  /// Writes a part of the value at hand, which is then no more, if nobody else can come to it.
  void write_part(const Node& node, const Value& part);

  Conversion how_;
  bool sole_ = false;  // whether the value at hand is to be given up, and is nobody else's
  Encoder encoder_;
  std::string path_;
  std::size_t shared_ = 0;  // objects so far

 private:
  // Numbers and text.
  template <class T>
  void put_integer(const Node& node, const Value& value, const Number& number);
  void integer(const Node& node, const Value& value);
  void wide_integer(const Node& node, const Value& value);
  /// A float of so many bytes from what Python may have written for one: an integer counts if it
  /// stays exact.
  double as_real(const Node& node, std::size_t bytes, const Value& value, const Number& number);
  void put_real(const Node& node, std::size_t bytes, double number);
  /// Those in a NumPy scalar keep all bits that an encoding of so many bytes each has.
  bool put_extended(const Value& value, char kind, std::size_t numbers, std::size_t bytes);
  void put_long_double(const LongDouble& value, std::size_t bytes);
  void real(const Node& node, const Value& value);
  void complex(const Node& node, const Value& value);
  /// Text, bytes, or an element of a text array.
  std::optional<std::string> characters(const Value& value) const;
  void text(const Node& node, const Value& value);
  void fixed(const Node& node, const Value& value);
  /// A duration or time point from a count with a unit that NumPy keeps beside it.
  static Value time_count(const Value& value);

  // Sequences.
  /// Items of an array are those in C order.
  void in_c_order(const Node& node, const Value& value);
  /// The number of items of a list, tuple, set or array.
  std::size_t length_of(const Node& node, const Value& value) const;
  /// Writes item `i` of those.
  void write_item(const Node& node, const Value& value, std::size_t i, const Node& part);
  /// Item `i` of an array in C order.
  Value element(const Value& value, std::size_t i);
  void items(const Node& node, const Value& value, std::size_t expected);
  void fixed_list(const Node& node, const Value& value);
  /// Elements that stand as one block, from memory of which nothing is borrowed.
  void block(std::span<const std::byte> bytes);
  /// The same from an array of just such elements. `count`: as
  /// many as the type has, or as there are (with their number in front).
  bool write_block(const Node& part, const Value& value, std::optional<std::size_t> count);
  void list(const Node& node, const Value& value);
  void elements(const Node& node, const Value& value);
  void list_items(const Node& node, const Value& value);
  void set(const Node& node, const Value& value);
  void tuple(const Node& node, const Value& value);

  // By name.
  void map(const Node& node, const Value& value);
  void structure(const Node& node, const Value& value);
  /// What a member is that the value doesn't have. Throws WrongType unless that is allowed.
  Value default_of(const Node& node, std::size_t member);
  /// The first alternative that takes the value.
  void variant(const Node& node, const Value& value);
  /// Its number; that of no alternative if none does.
  std::size_t choose(const Node& node, const Value& value);
  void shared(const Node& node, const Value& value);

  // Arrays.
  void array(const Node& node, const Value& value);
  /// The elements of the value at hand in another layout, in their own memory where that can be.
  Value::Elements convert(Value::Elements elements, const DType& to, bool c_order);
  /// An array, or a single element or a list of numbers taken for one.
  Value::Elements array_elements(const Node& node, const Value& value, const DType& base);
  /// Structs whose members are matched by name, one after the other.
  Value::Elements by_members(const Node& part, const Value::Elements& elements, const DType& to);

  struct Object {
    std::size_t number;
    Value value;  // so that its address stays taken
  };

  struct Choice {
    std::size_t alternative;
    Value value;  // so that its address stays taken
  };
  using Choices = std::map<std::pair<const Node*, const Value::Node*>, Choice>;

  bool rows_sole_ = false;  // of the array at hand
  bool in_block_ = false;   // what is written is a part of a block, so it has no segments
  /// Inside a variant: what was chosen for values with parts. Each would otherwise be tried anew
  /// for every variant around it, twice as often at each depth.
  std::shared_ptr<Choices> choices_;
  std::map<std::pair<const Value::Node*, std::string_view>, Object> objects_;
  std::map<const Node*, Value> defaults_;  // of structures, as dicts
};

}  // namespace hoist::detail::dynamic
