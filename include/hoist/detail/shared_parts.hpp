// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/values.hpp>

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

// Encoded values that a worker decodes once for many tasks.

namespace hoist::detail {

/// An encoded value in shared memory. `packed` begins with the meta stream, small segments follow;
/// other processes map it however small it is, so that they recognise a value that they have.
struct SharedParts {
  std::shared_ptr<Storage> packed;
  std::size_t meta_bytes = 0;
  std::vector<Segment> segments;     ///< in the order of decoding; all have owners
  std::vector<std::size_t> offsets;  ///< where a segment begins in `packed`; 0: it isn't there

  EncodedSource source() const { return {{packed->data(), meta_bytes}, segments}; }
};

/// The part of `packed` that holds a segment. Throws DamagedData if it isn't inside.
Segment packed_segment(const SharedParts& parts, std::size_t offset, std::size_t bytes);

/// In a worker: the value that an earlier task decoded from parts that begin in `storage`, or null.
std::shared_ptr<const void> find_shared_value(const std::shared_ptr<Storage>& storage,
                                              const void* tag);
/// Keeps a decoded value for the following tasks, as long as the worker has `storage`.
void keep_shared_value(const std::shared_ptr<Storage>& storage, const void* tag,
                       std::shared_ptr<const void> value);
/// Drops what was kept for `storage`, which this worker has no longer.
void forget_shared_value(const std::shared_ptr<Storage>& storage);

/// Reads a part that Encoder::end_part or a Shared wrote; it has so many segments.
std::shared_ptr<SharedParts> decode_shared_parts(Decoder& decoder, std::size_t segments);

/// The value in `parts`, decoded unless an earlier task of this worker did.
template <class T>
std::shared_ptr<const T> decode_shared(const SharedParts& parts) {
  if (auto known = find_shared_value(parts.packed, &type_tag<T>)) {
    return std::static_pointer_cast<const T>(std::move(known));
  }
  auto made = std::make_shared<T>();
  EncodedSource source = parts.source();
  decode(source, *made);
  keep_shared_value(parts.packed, &type_tag<T>, made);
  return made;
}

}  // namespace hoist::detail
