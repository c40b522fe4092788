// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/share.hpp>

#include <algorithm>
#include <cstring>
#include <list>
#include <mutex>

#include "ipc/shared_bytes.hpp"

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
};

KeptValues& kept_values() {
  static auto* const kept = new KeptValues;
  return *kept;
}

}  // namespace

std::shared_ptr<const SharedParts> make_shared_parts(Encoded encoded) {
  auto parts = std::make_shared<SharedParts>();
  parts->encoded = std::move(encoded);
  for (Segment& segment : parts->encoded.segments) {
    if (segment.owner != nullptr && segment.owner->backing().fd >= 0) continue;
    auto storage = segment.bytes >= large_storage ? ipc::allocate_shared(segment.bytes) : nullptr;
    if (storage == nullptr) storage = allocate_storage(segment.bytes, Fill::none);
    std::memcpy(storage->data(), segment.data, segment.bytes);
    segment.data = storage->data();
    segment.owner = std::move(storage);
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
  // Storage that only this value holds would never be found again.
  if (storage.use_count() <= 2) return;
  KeptValues& kept = kept_values();
  const std::lock_guard lock(kept.mutex);
  kept.values.push_back({storage, tag, std::move(value)});
}

void forget_shared_values() {
  std::list<KeptValue> dropped;
  const std::lock_guard lock(kept_values().mutex);
  dropped.swap(kept_values().values);
}

}  // namespace hoist::detail
