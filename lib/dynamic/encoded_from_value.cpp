// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/error.hpp>

#include <algorithm>
#include <cstring>
#include <utility>

#include "dynamic/schema_types.hpp"
#include "dynamic/value_writer.hpp"

namespace hoist::detail::dynamic {

namespace {

/// An array of these bytes, in memory of its own.
Value::Elements copied(std::span<const std::byte> bytes, const DType& dtype, Shape shape = {},
                       Order order = Order::c) {
  auto storage = allocate_storage(bytes.size(), Fill::none);
  std::copy(bytes.begin(), bytes.end(), storage->data());
  const std::byte* data = storage->data();
  return {dtype, std::move(shape), order, std::move(storage), data};
}

}  // namespace

std::string ValueWriter::cut(std::string_view schema) {
  return schema.size() <= 60 ? std::string(schema) : std::string(schema.substr(0, 57)) + "...";
}

void ValueWriter::mismatch(const std::string& what) const {
  throw WrongType((path_.empty() ? "the value" : "at " + path_ + " the value") + " " + what);
}

void ValueWriter::mismatch(const Node& node, const Value& value) const {
  mismatch("is " + value.kind_name() + " where " + cut(node.text) + " is asked for");
}

void ValueWriter::mismatch_missing(const Node& node, const std::string& member) const {
  mismatch("has no \"" + member + "\", which " + cut(node.text) +
           " has (LoadOptions::missing_members can leave it at its default)");
}

void ValueWriter::mismatch_unknown(const Node& node, const Value& member) const {
  mismatch("has " + member.to_string(60) + ", which " + cut(node.text) +
           " has not (LoadOptions::unknown_members can skip it)");
}

void ValueWriter::write_part(const Node& node, const Value& part) {
  const bool sole = sole_;
  sole_ = sole && !part.is_shared();
  write(node, part);
  sole_ = sole;
  if (sole) const_cast<Value&>(part) = {};
}

void ValueWriter::write(const Node& node, const Value& value) {
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
    case Node::Kind::any:
      mismatch("is wanted as an object of a derived class, which only hoist containers hold");
    case Node::Kind::list:
    case Node::Kind::fixed_list:
    case Node::Kind::set:
    case Node::Kind::tuple:
    case Node::Kind::object: in_c_order(node, value); break;
    case Node::Kind::map: map(node, value); break;
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

// --- sequences -----------------------------------------------------------------------------------

void ValueWriter::in_c_order(const Node& node, const Value& value) {
  if (value.kind() == Kind::array && value.order() == Order::fortran && value.shape().size() > 1) {
    return in_c_order(node, Value(converted(value.elements(), value.dtype(), true)));
  }
  switch (node.kind) {
    case Node::Kind::list: list(node, value); break;
    case Node::Kind::fixed_list: fixed_list(node, value); break;
    case Node::Kind::set: set(node, value); break;
    default: tuple(node, value); break;
  }
}

std::size_t ValueWriter::length_of(const Node& node, const Value& value) const {
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

void ValueWriter::write_item(const Node& node, const Value& value, std::size_t i,
                             const Node& part) {
  const Step step(*this, std::to_string(i));
  if (value.kind() == Kind::objects && value.shape().size() != 1) mismatch(node, value);
  if (value.kind() == Kind::array) {
    write(part, element(value, i));
  } else {
    write_part(part, value.items()[i]);
  }
}

Value ValueWriter::element(const Value& value, std::size_t i) {
  const auto& elements = value.elements();
  if (elements.shape.size() == 1) {
    return element_value(elements.dtype, elements.data + i * elements.dtype.itemsize);
  }
  return Value(row_of(elements, i, rows_sole_));
}

void ValueWriter::items(const Node& node, const Value& value, std::size_t expected) {
  const std::size_t n = length_of(node, value);
  if (n != expected) {
    mismatch("has " + std::to_string(n) + " items where " + cut(node.text) + " has " +
             std::to_string(expected));
  }
  for (std::size_t i = 0; i < n; ++i) write_item(node, value, i, node.part(0));
}

/// Its elements stand side by side: from the threshold on in one piece, however they are given.
void ValueWriter::fixed_list(const Node& node, const Value& value) {
  if (write_block(node.part(0), value, node.count)) return;
  const auto layout = element_layout(node.part(0));
  if (in_block_ || !layout || !layout->block) return items(node, value, node.count);
  ValueWriter inner(how_);
  inner.path_ = path_;
  inner.in_block_ = true;
  inner.items(node, value, node.count);
  block(inner.encoder_.take().meta);
}

void ValueWriter::block(std::span<const std::byte> bytes) {
  if (in_block_) {
    while (!bytes.empty()) {
      const auto piece = bytes.first(std::min(bytes.size(), segment_threshold - 1));
      encoder_.block(piece.data(), piece.size());
      bytes = bytes.subspan(piece.size());
    }
    return;
  }
  if (bytes.size() < segment_threshold) return encoder_.block(bytes.data(), bytes.size());
  auto storage = allocate_storage(bytes.size(), Fill::none);
  std::memcpy(storage->data(), bytes.data(), bytes.size());
  encoder_.array_block(storage->data(), bytes.size(), storage);
}

bool ValueWriter::write_block(const Node& part, const Value& value,
                              std::optional<std::size_t> count) {
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
  const Value::Elements dense = convert(elements, base, true);
  const std::size_t bytes = dense.nbytes();
  if (has_bad_bools(dense)) mismatch("holds a bool that is neither 0 nor 1");
  if (part.kind == Node::Kind::boolean) {
    for (std::size_t i = 0; i < bytes; ++i) encoder_.scalar(dense.data[i]);
  } else if (in_block_ || bytes < segment_threshold) {
    block({dense.data, bytes});
  } else {
    encoder_.array_block(dense.data, bytes, dense.storage);
  }
  return true;
}

void ValueWriter::list(const Node& node, const Value& value) {
  const Node& part = node.part(0);
  if (write_block(part, value, std::nullopt)) return;
  if (value.kind() == Kind::array) return elements(node, value);
  list_items(node, value);
}

/// Rows that become blocks are copied one after the other.
void ValueWriter::elements(const Node& node, const Value& value) {
  const Node& part = node.part(0);
  const bool sole = sole_ && value.elements().storage.use_count() == 1;
  const auto layout = part.kind == Node::Kind::list ? element_layout(part.part(0)) : std::nullopt;
  const bool before = std::exchange(rows_sole_, sole && layout && layout->block);
  list_items(node, value);
  rows_sole_ = before;
}

void ValueWriter::list_items(const Node& node, const Value& value) {
  const Node& part = node.part(0);
  const std::size_t n = length_of(node, value);
  encoder_.length(n);
  const auto layout = element_layout(part);
  if (layout && layout->block) {
    // The elements of a block stand side by side: in one piece from the threshold on.
    ValueWriter inner(how_);
    inner.path_ = path_;
    inner.in_block_ = true;
    for (std::size_t i = 0; i < n; ++i) inner.write_item(node, value, i, part);
    return block(inner.encoder_.take().meta);
  }
  // Single elements are copied, so what is before the one at hand is not needed any more.
  constexpr std::size_t step = 4096;
  const bool sole = sole_ && value.kind() == Kind::array && value.shape().size() == 1 &&
                    value.elements().storage.use_count() == 1;
  for (std::size_t i = 0; i < n; ++i) {
    if (sole && i % step == 0) give_up_before(value.elements(), i);
    write_item(node, value, i, part);
  }
}

void ValueWriter::set(const Node& node, const Value& value) {
  const std::size_t n = length_of(node, value);
  encoder_.length(n);
  for (std::size_t i = 0; i < n; ++i) write_item(node, value, i, node.part(0));
}

void ValueWriter::tuple(const Node& node, const Value& value) {
  const std::size_t n = length_of(node, value);
  if (n != node.parts.size()) {
    mismatch("has " + std::to_string(n) + " items where " + cut(node.text) + " has " +
             std::to_string(node.parts.size()));
  }
  for (std::size_t i = 0; i < n; ++i) write_item(node, value, i, node.part(i));
}

// --- by name -------------------------------------------------------------------------------------

void ValueWriter::map(const Node& node, const Value& value) {
  if (value.kind() != Kind::dict) mismatch(node, value);
  encoder_.length(value.entries().size());
  for (const auto& [key, part] : value.entries()) {
    const Step step(*this, key.to_string(60));
    write_part(node.part(0), key);
    write_part(node.part(1), part);
  }
}

void ValueWriter::structure(const Node& node, const Value& value) {
  if (value.kind() == Kind::tuple) return tuple(node, value);  // what keys become
  if (value.kind() == Kind::scalar && value.dtype().fields) {
    const auto* data = reinterpret_cast<const std::byte*>(value.as_bytes().data());
    return structure(node, element_value(value.dtype(), data));
  }
  if (value.kind() != Kind::dict) mismatch(node, value);
  for (const auto& [key, part] : value.entries()) {
    const bool known = key.kind() == Kind::text && std::find(node.names.begin(), node.names.end(),
                                                             key.as_text()) != node.names.end();
    if (!known && !how_.skip_unknown) mismatch_unknown(node, key);
  }
  for (std::size_t i = 0; i < node.parts.size(); ++i) {
    const Value* const given = value.find(node.names[i]);
    // A copy has another owner, so that it is not given up.
    const Value part = given != nullptr ? Value() : default_of(node, i);
    const Step step(*this, "\"" + node.names[i] + "\"");
    write_part(node.part(i), given != nullptr ? *given : part);
  }
}

Value ValueWriter::default_of(const Node& node, std::size_t member) {
  const std::string& name = node.names[member];
  if (how_.defaults == nullptr) mismatch_missing(node, name);
  const auto [place, is_new] = defaults_.try_emplace(&node);
  if (is_new) {
    const auto& all = how_.defaults->defaults;
    const auto found = std::find_if(all.begin(), all.end(), [&](const MemberDefaults& aggregate) {
      return aggregate.at == node.at;
    });
    if (found == all.end())
      mismatch("has no \"" + name + "\", and " + cut(node.text) + " no default");
    Encoder encoder;
    // The value lives only while it is encoded, so nothing may be borrowed from it.
    const Encoder::UserCode copying(encoder);
    found->encode(encoder);
    Encoded encoded = encoder.take();
    SharingSource source(encoded, nullptr);
    Decoder decoder(source);
    place->second = read_value(node, decoder, ~std::uint64_t{0});
  }
  return *place->second.find(name);
}

void ValueWriter::shared(const Node& node, const Value& value) {
  if (value.is_none()) {
    encoder_.length(0);
    return;
  }
  const auto known = objects_.find({value.node(), node.part(0).text});
  if (value.node() != nullptr && known != objects_.end()) {
    encoder_.length(known->second.number);
    return;
  }
  encoder_.length(++shared_);
  if (value.is_shared()) {
    objects_.emplace(std::pair(value.node(), node.part(0).text), Object{shared_, value});
  }
  write(node.part(0), value);
}

// --- arrays --------------------------------------------------------------------------------------

Value::Elements ValueWriter::convert(Value::Elements elements, const DType& to, bool c_order) {
  // One owner is the value, the other is here.
  const bool sole = sole_ && elements.storage.use_count() == 2;
  if (same_layout(elements.dtype, to) || !sole || !convert_in_place(elements, to, c_order)) {
    return converted(elements, to, c_order, sole);
  }
  return elements;
}

void ValueWriter::array(const Node& node, const Value& value) {
  const auto layout = element_layout(node.part(0));
  if (!layout) mismatch(node, value);
  // Sub-arrays are further axes, unless the value has them as its elements.
  const bool whole = value.kind() == Kind::array && value.dtype().base != nullptr;
  const auto [base, inner] = whole ? std::pair(layout->dtype, Shape()) : flattened(layout->dtype);
  Value::Elements elements = array_elements(node, value, base);
  if (inner.size() > elements.shape.size() ||
      !std::equal(inner.rbegin(), inner.rend(), elements.shape.rbegin())) {
    mismatch("is " + value.kind_name() + " where elements of " + cut(node.part(0).text) +
             " are asked for: its last axes do not fit");
  }
  if (!repackable(elements.dtype, base)) {
    mismatch("is an array of " + elements.dtype.text() + " where " + base.text() +
             " is asked for: load it with its own element type, then Array::astype converts");
  }
  const bool fits = same_layout(elements.dtype, base) &&
                    (inner.empty() || elements.order == Order::c || elements.shape.size() < 2);
  if (!fits && how_.mapped) {
    mismatch("is an array of " + elements.dtype.text() +
             (elements.order == Order::fortran ? " in Fortran order" : "") +
             ", which can't be used as " + base.text() + " where it lies: load it without mmap");
  }
  if (!fits) elements = convert(std::move(elements), base, !inner.empty());
  if (!how_.mapped && has_bad_bools(elements)) mismatch("holds a bool that is neither 0 nor 1");
  Shape shape = elements.shape;
  shape.resize(shape.size() - inner.size());
  Order order = elements.order;
  traverse_extents(encoder_, shape, order);
  encoder_.array_block(elements.data, elements.nbytes(), elements.storage);
}

Value::Elements ValueWriter::array_elements(const Node& node, const Value& value,
                                            const DType& base) {
  if (value.kind() == Kind::array) {
    const bool by_name = how_.defaults != nullptr || how_.skip_unknown;
    const auto& elements = value.elements();
    if (!by_name || !base.fields || !elements.dtype.fields || repackable(elements.dtype, base)) {
      return elements;
    }
    return by_members(node.part(0), elements, base);
  }
  if (value.kind() == Kind::scalar) {
    return copied(std::as_bytes(std::span(value.as_bytes())), value.dtype());
  }
  if (value.kind() != Kind::list && value.kind() != Kind::tuple) mismatch(node, value);
  ValueWriter inner(how_);
  inner.path_ = path_;
  inner.in_block_ = true;
  for (std::size_t i = 0; i < value.items().size(); ++i) {
    const Step step(inner, std::to_string(i));
    inner.write(node.part(0), value.items()[i]);
  }
  const Encoded encoded = inner.encoder_.take();
  if (encoded.meta.size() != value.items().size() * base.itemsize) mismatch(node, value);
  return copied(encoded.meta, base, {value.items().size()});
}

Value::Elements ValueWriter::by_members(const Node& part, const Value::Elements& elements,
                                        const DType& to) {
  ValueWriter inner(how_);
  inner.path_ = path_;
  inner.in_block_ = true;
  for (std::size_t i = 0; i < elements.size(); ++i) {
    const Step step(inner, std::to_string(i));
    inner.write(part, element_value(elements.dtype, elements.data + i * elements.dtype.itemsize));
  }
  const Encoded encoded = inner.encoder_.take();
  if (encoded.meta.size() != elements.size() * to.itemsize) {
    mismatch("is an array of structs with gaps, whose members can't be matched by name");
  }
  return copied(encoded.meta, to, elements.shape, elements.order);
}

Encoded encode_as(const SchemaNode& schema, const Value& value, const Conversion& how) {
  return ValueWriter(how).run(schema, value);
}

void encode_as(const SchemaNode& schema, Value value, const Conversion& how, EncodeSink& to) {
  ValueWriter writer(how, &to);
  writer.add(schema, std::move(value));
  writer.finish();
}

}  // namespace hoist::detail::dynamic

namespace hoist::detail {

void decode_from_value(const Value& value, const std::string& schema, void* to,
                       void (*run)(void* to, DecodeSource& source)) {
  const dynamic::ParsedSchema parsed(schema);
  Encoded encoded = dynamic::encode_as(parsed.root(), value, {});
  dynamic::SharingSource source(encoded, nullptr);
  run(to, source);
}

}  // namespace hoist::detail
