// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/decoder.hpp>
#include <hoist/detail/encoder.hpp>
#include <hoist/value.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "dynamic/schema_parser.hpp"

// Between encoded values and dynamic ones, as docs/formats/schema.md lists it.

namespace hoist::detail::dynamic {

/// Is told of a value part by part, so that the whole is nowhere.
class ValueVisitor {
 public:
  virtual ~ValueVisitor();
  /// A part that is not told of in parts: numbers, text, arrays.
  virtual void part(Value value) = 0;
  /// A list, tuple or set of `n` parts, or a dict of `n` keys that are each followed by a part, comes
  /// next, and is over.
  virtual void begin(Value::Kind kind, std::size_t n) = 0;
  virtual void end() = 0;
  /// The part that is over is the object of that number, counted from 1; that object comes once more.
  virtual void object(std::size_t number) = 0;
  virtual void object_again(std::size_t number) = 0;
};

/// Takes a value part by part.
class PartsTaker {
 public:
  virtual ~PartsTaker();
  virtual void part(Value value) = 0;
  /// A list or set of `n` parts, or a dict of `n` keys that are each followed by a part, comes next; false
  /// where it is to come as one part. To be called for what is no key.
  virtual bool begin(Value::Kind kind, std::size_t n) = 0;
  /// What has begun is over.
  virtual void end() = 0;
};

/// Reads an encoded value of that schema. Throws DamagedData, LimitExceeded (more than `max_nodes`
/// values) or CannotTravel (objects that refer to themselves).
void visit_value(const SchemaNode& schema, Decoder& decoder, std::uint64_t max_nodes,
                 ValueVisitor& visitor);
Value read_value(const SchemaNode& schema, Decoder& decoder, std::uint64_t max_nodes);

/// The text or bytes that come next, as a value of that kind.
Value read_text(Decoder& decoder, Value::Kind kind);
/// Encodes text, bytes or a big integer, of which the encoded value becomes another owner.
void encode_text_of(Encoder& encoder, const Value& value);

/// Encodes a value as one of that schema; arrays and text are shared with it, and kept alive. Throws
/// WrongType naming the place inside the value and what differs.
/// `mapped`: arrays are used where they lie or not at all.
Encoded encode_as(const SchemaNode& schema, const Value& value, bool mapped);
/// Likewise, a stretch at a time; parts that nobody else has are given up as they are handed over.
void encode_as(const SchemaNode& schema, Value value, bool mapped, EncodeSink& to);
/// Likewise, of a value that `give` gives part by part, without a memory of the whole where the type has
/// items, entries or members, too.
void encode_parts_as(const SchemaNode& schema, bool mapped, EncodeSink& to,
                     const std::function<void(PartsTaker&)>& give);

/// An encoded value in memory. Segments with an owner are shared, and no longer the encoded value's when
/// they have been taken; others are borrowed (`keep_alive` keeps the memory; null: the caller does).
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
  /// More is asked for than there is: refills, if there is more to come.
  virtual void used_up() {}

 private:
  std::span<const std::byte> meta_;
  std::span<Segment> segments_;
  std::shared_ptr<const void> keep_;
};

}  // namespace hoist::detail::dynamic
