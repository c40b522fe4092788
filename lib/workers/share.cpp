// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/share.hpp>

#include <algorithm>
#include <cstring>

#include "ipc/shared_bytes.hpp"
#include "workers/pool.hpp"

namespace hoist::detail {

namespace {

constexpr std::size_t alignment = 64;

std::shared_ptr<Storage> allocate(std::size_t bytes) {
  auto storage = ipc::allocate_shared(bytes);
  return storage != nullptr ? storage : allocate_storage(bytes, Fill::none);
}

void move_to_shared(Segment& segment) {
  auto storage = allocate(segment.bytes);
  std::memcpy(storage->data(), segment.data, segment.bytes);
  segment.data = storage->data();
  segment.owner = std::move(storage);
}

}  // namespace

std::shared_ptr<const SharedParts> make_shared_parts(const Encoded& encoded) {
  std::shared_ptr<SharedParts> parts(new SharedParts, [](SharedParts* last) {
    delete last;
    workers::WorkerPool::forget_expired();
  });
  parts->meta_bytes = encoded.meta.size();
  std::size_t bytes = std::max<std::size_t>(1, encoded.meta.size());
  for (const Segment& segment : encoded.segments) {
    const bool stays = segment.owner != nullptr && segment.owner->backing().fd >= 0;
    const bool apart = stays || segment.bytes >= large_storage;
    parts->offsets.push_back(apart ? 0 : (bytes + alignment - 1) / alignment * alignment);
    if (!apart) bytes = parts->offsets.back() + segment.bytes;
    parts->segments.push_back(segment);
    if (!stays && apart) move_to_shared(parts->segments.back());
  }
  parts->packed = allocate(bytes);
  // Other processes recognise by it that they have decoded the value.
  parts->packed->set_passing(Storage::Passing::mapped);
  std::ranges::copy(encoded.meta, parts->packed->data());
  for (std::size_t i = 0; i < parts->segments.size(); ++i) {
    const std::size_t offset = parts->offsets[i];
    if (offset == 0) continue;
    std::memcpy(parts->packed->data() + offset, encoded.segments[i].data,
                encoded.segments[i].bytes);
    parts->segments[i] = packed_segment(*parts, offset, encoded.segments[i].bytes);
  }
  return parts;
}

}  // namespace hoist::detail
