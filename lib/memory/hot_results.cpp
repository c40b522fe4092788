// SPDX-License-Identifier: BSD-3-Clause
#include "memory/hot_results.hpp"

#include <algorithm>
#include <cstring>

#include "memory/entry.hpp"
#include "memory/known_functions.hpp"

namespace hoist::detail::memory {

std::shared_ptr<const EntryMetadata> HotResults::get(const Digest& key, const Call& call,
                                                     const Validation& validate) {
  std::shared_ptr<const Item> item;
  {
    const std::lock_guard lock(mutex_);
    const auto found = places_.find(key);
    if (found == places_.end()) return nullptr;
    items_.splice(items_.begin(), items_, found->second);
    item = *found->second;
  }
  if (item->ops != call.ops || !is_equal(item->content, call.content) ||
      find_changed(item->metadata.dependencies) != nullptr ||
      (validate && !validate(item->metadata))) {
    const std::lock_guard lock(mutex_);
    forget(key);
    return nullptr;
  }
  EncodedSource source(item->value);
  Decoder decoder(source);
  call.ops->decode(call.frame, decoder);
  const EntryMetadata* const metadata = &item->metadata;
  return {std::move(item), metadata};
}

void HotResults::put(const Digest& key, const Call& call, const EntryMetadata& metadata,
                     Encoded value) {
  const std::uint64_t bytes = sizeof(Item) + encoded_bytes(value) + call.content.size();
  if (bytes > limit_) return;
  for (auto& segment : value.segments) {
    auto copy = allocate_storage(segment.bytes, Fill::none);
    std::memcpy(copy->data(), segment.data, segment.bytes);
    segment.data = copy->data();
    // Marked read-only, so that decoding into something writable copies.
    segment.owner = wrap_storage(copy->data(), segment.bytes, false, copy);
  }
  auto item = std::make_shared<const Item>(Item{key,
                                                call.ops,
                                                {call.content.begin(), call.content.end()},
                                                metadata,
                                                std::move(value),
                                                bytes});
  const std::lock_guard lock(mutex_);
  forget(key);
  items_.push_front(std::move(item));
  places_[key] = items_.begin();
  bytes_ += bytes;
  while (bytes_ > limit_) forget(Digest(items_.back()->key));
}

void HotResults::clear() {
  const std::lock_guard lock(mutex_);
  places_.clear();
  items_.clear();
  bytes_ = 0;
}

void HotResults::forget(const Digest& key) {
  const auto found = places_.find(key);
  if (found == places_.end()) return;
  bytes_ -= (*found->second)->bytes;
  items_.erase(found->second);
  places_.erase(found);
}

}  // namespace hoist::detail::memory
