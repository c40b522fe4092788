// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/detail/shared_parts.hpp>

#include <iterator>
#include <list>
#include <mutex>
#include <utility>

#include "os/fork_hook.hpp"

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

KeptValues& kept_values() {
  static auto* const kept = new KeptValues;
  return *kept;
}

}  // namespace

Segment packed_segment(const SharedParts& parts, std::size_t offset, std::size_t bytes) {
  const auto& packed = parts.packed;
  if (offset > packed->bytes() || packed->bytes() - offset < bytes) Decoder::throw_damaged();
  std::byte* const data = packed->data() + offset;
  return {data, bytes, 1, wrap_storage(data, bytes, false, packed)};
}

std::shared_ptr<SharedParts> decode_shared_parts(Decoder& decoder, std::size_t segments) {
  auto parts = std::make_shared<SharedParts>();
  parts->meta_bytes = decoder.length();
  const std::size_t packed = decoder.length();
  if (packed == 0 || parts->meta_bytes > packed) Decoder::throw_damaged();
  parts->packed = decoder.array_block(packed, false);
  for (std::size_t i = 0; i < segments; ++i) {
    const std::size_t bytes = decoder.length();
    const std::size_t offset = decoder.length();
    if (offset != 0) {
      parts->segments.push_back(packed_segment(*parts, offset, bytes));
    } else {
      auto storage = decoder.array_block(bytes, false);
      parts->segments.push_back({storage->data(), bytes, 1, storage});
    }
    parts->offsets.push_back(offset);
  }
  return parts;
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
