// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/share.hpp>

#include <algorithm>
#include <cstring>
#include <iterator>
#include <list>
#include <mutex>

#include "ipc/shared_bytes.hpp"
#include "os/fork_hook.hpp"
#include "workers/pool.hpp"

namespace hoist::detail {

namespace {

struct KeptValue {
  std::weak_ptr<Storage> storage;
  const void* tag = nullptr;
  std::shared_ptr<const void> value;
};

struct KeptValues {
  std::mutex mutex;
  std::list<KeptValue> values;
  os::ForkHook fork_hook{mutex};
};

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

KeptValues& kept_values() {
  static auto* const kept = new KeptValues;
  return *kept;
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

Segment packed_segment(const SharedParts& parts, std::size_t offset, std::size_t bytes) {
  const auto& packed = parts.packed;
  if (offset > packed->bytes() || packed->bytes() - offset < bytes) Decoder::throw_damaged();
  std::byte* const data = packed->data() + offset;
  return {data, bytes, 1, wrap_storage(data, bytes, false, packed)};
}

std::shared_ptr<const void> find_shared_value(const std::shared_ptr<Storage>& storage,
                                              const void* tag) {
  KeptValues& kept = kept_values();
  const std::lock_guard lock(kept.mutex);
  for (const KeptValue& one : kept.values) {
    if (one.tag == tag && one.storage.lock() == storage) return one.value;
  }
  return nullptr;
}

void keep_shared_value(const std::shared_ptr<Storage>& storage, const void* tag,
                       std::shared_ptr<const void> value) {
  // Other storage is not what the next task will have.
  if (storage->passing() != Storage::Passing::mapped) return;
  KeptValues& kept = kept_values();
  const std::lock_guard lock(kept.mutex);
  kept.values.push_back({storage, tag, std::move(value)});
}

void forget_shared_value(const std::shared_ptr<Storage>& storage) {
  std::list<KeptValue> dropped;  // destroyed after the lock is released
  KeptValues& kept = kept_values();
  const std::lock_guard lock(kept.mutex);
  for (auto at = kept.values.begin(); at != kept.values.end();) {
    const auto next = std::next(at);
    if (at->storage.lock() == storage) dropped.splice(dropped.end(), kept.values, at);
    at = next;
  }
}

}  // namespace hoist::detail
