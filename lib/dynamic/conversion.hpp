// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/decoder.hpp>
#include <hoist/detail/encoder.hpp>
#include <hoist/detail/schema.hpp>
#include <hoist/value.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "dynamic/schema_parser.hpp"

// Between encoded values and dynamic ones, as docs/formats/schema.md lists it.

namespace hoist::detail::dynamic {

/// Receives a decoded value piecewise; it is never in memory whole.
class ValueVisitor {
 public:
  virtual ~ValueVisitor();
  /// A part that has no parts of its own: a number, text, an array.
  virtual void part(Value value) = 0;
  /// The beginning of a list, tuple or set of `n` parts, or of a dict of `n` keys that are each
  /// followed by a part, and its end.
  virtual void begin(Value::Kind kind, std::size_t n) = 0;
  virtual void end() = 0;
  /// The part that has just ended is the object of that number, counted from 1; `object_again`
  /// stands for another occurrence of it.
  virtual void object(std::size_t number) = 0;
  virtual void object_again(std::size_t number) = 0;
};

/// Encodes a value that it receives piecewise.
class ValueSink {
 public:
  virtual ~ValueSink();
  virtual void part(Value value) = 0;
  /// Begins a list or set of `n` parts, or a dict of `n` keys that are each followed by a part.
  /// False if the container must come as one part instead. Must not be called for keys.
  virtual bool begin(Value::Kind kind, std::size_t n) = 0;
  /// Ends the container begun last.
  virtual void end() = 0;
};

/// Reads an encoded value of that schema. Throws DamagedData, LimitExceeded (more than `max_nodes`
/// values) or CannotTravel (objects that refer to themselves).
void visit_value(const SchemaNode& schema, Decoder& decoder, std::uint64_t max_nodes,
                 ValueVisitor& visitor);
Value read_value(const SchemaNode& schema, Decoder& decoder, std::uint64_t max_nodes);

/// The text or bytes that come next, as a value of that kind.
Value read_text(Decoder& decoder, Value::Kind kind);
/// Encodes text, bytes or a big integer; the encoded value shares its memory.
void encode_text_of(Encoder& encoder, const Value& value);

/// How a value becomes one of a schema.
struct Conversion {
  bool mapped = false;               ///< an array that would have to be converted is an error
  const Schema* defaults = nullptr;  ///< the schema itself, if missing members keep their defaults
  bool skip_unknown = false;         ///< members that the schema doesn't have
};

/// Encodes a value as one of that schema; arrays and text are shared with it, and kept alive.
/// Throws WrongType naming the place inside the value and what differs.
Encoded encode_as(const SchemaNode& schema, const Value& value, const Conversion& how);
/// Likewise, piece by piece; the memory of parts without other owners is released on the way.
void encode_as(const SchemaNode& schema, Value value, const Conversion& how, EncodeSink& to);
/// Likewise, for a value that `give` passes piecewise. Where the type has items, entries or
/// members, too, the whole is never in memory. Members must be just those of the schema.
void encode_parts_as(const SchemaNode& schema, bool mapped, EncodeSink& to,
                     const std::function<void(ValueSink&)>& give);

/// Reads an encoded value in memory. Segments with an owner are shared, and leave the encoded value
/// when they are taken; others are borrowed from memory that `keep_alive` owns (null: the caller).
class SharingSource : public DecodeSource {
 public:
  SharingSource(Encoded& encoded, std::shared_ptr<const void> keep_alive)
      : meta_(encoded.meta), segments_(encoded.segments), keep_(std::move(keep_alive)) {}
  std::span<const std::byte> next_meta() override;
  void expect_segment(std::size_t bytes) override;
  void read_segment(std::byte* to, std::size_t bytes) override;
  std::shared_ptr<Storage> take_segment(std::size_t bytes, bool writable) override;
  bool lends() const override { return true; }

 protected:
  SharingSource() = default;
  void refill(std::span<const std::byte> meta, std::span<Segment> segments) {
    meta_ = meta;
    segments_ = segments;
  }
  /// Called when everything has been read but more is asked for: calls `refill` if more follows.
  virtual void used_up() {}

 private:
  std::span<const std::byte> meta_;
  std::span<Segment> segments_;
  std::shared_ptr<const void> keep_;
};

}  // namespace hoist::detail::dynamic
