// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/decoder.hpp>
#include <hoist/detail/encoder.hpp>
#include <hoist/value.hpp>

#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <string>

#include "dynamic/schema_parser.hpp"

// Between encoded values and dynamic ones, as docs/formats/schema.md lists it.

namespace hoist::detail {

/// Reads an encoded value of that schema. Throws DamagedData, LimitExceeded (more than `max_nodes`
/// values) or CannotTravel (objects that refer to themselves).
Value read_value(const SchemaNode& schema, Decoder& decoder, std::uint64_t max_nodes);

/// An encoded value and what it borrows from, which the value itself does not own.
struct EncodedValue {
  Encoded encoded;
  std::deque<Value> kept;
};

/// Encodes a value as one of that schema; arrays and text are borrowed from it. Throws WrongType
/// naming the place inside the value and what differs.
/// `mapped`: arrays are used where they lie or not at all.
EncodedValue encode_as(const SchemaNode& schema, const Value& value, bool mapped);

/// An encoded value in memory. Segments with an owner are shared, others borrowed (`keep_alive`
/// keeps the memory; null: the caller does).
class SharingSource final : public DecodeSource {
 public:
  SharingSource(const Encoded& encoded, std::shared_ptr<const void> keep_alive)
      : meta_(encoded.meta), segments_(encoded.segments), keep_(std::move(keep_alive)) {}
  std::span<const std::byte> next_meta() override;
  void expect_segment(std::size_t bytes) override;
  void read_segment(std::byte* to, std::size_t bytes) override;
  std::shared_ptr<Storage> take_segment(std::size_t bytes, bool writable) override;

 private:
  std::span<const std::byte> meta_;
  std::span<const Segment> segments_;
  std::shared_ptr<const void> keep_;
};

}  // namespace hoist::detail
