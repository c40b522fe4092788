// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/memo.hpp>

#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "os/fork_hook.hpp"

namespace hoist::detail::memory {

/// Results kept in this process's memory, least recently used out first.
///
/// They are kept encoded: what a hit returns is independent of what other hits returned, and a
/// caller that changes it changes nothing here. Read-only arrays share their elements.
class HotResults final {
 public:
  explicit HotResults(std::uint64_t limit) : limit_(limit) {}

  /// Decodes the result of `call`, whose key in all of the Memory is `key`, and returns its
  /// metadata; null if it isn't here, or no longer valid.
  std::shared_ptr<const EntryMetadata> get(const Digest& key, const Call& call,
                                           const Validation& validate);
  /// Keeps a result, with copies of its large parts.
  void put(const Digest& key, const Call& call, const EntryMetadata& metadata, Encoded value);
  void clear();

 private:
  struct Item {
    Digest key;
    const CallOps* ops;
    std::vector<std::byte> content;
    EntryMetadata metadata;
    Encoded value;
    std::uint64_t bytes;
  };
  using Items = std::list<std::shared_ptr<const Item>>;

  void forget(const Digest& key);

  const std::uint64_t limit_;
  std::mutex mutex_;
  Items items_;  // most recently used first
  std::unordered_map<Digest, Items::iterator> places_;
  std::uint64_t bytes_ = 0;
  os::ForkHook fork_hook_{mutex_};
};

}  // namespace hoist::detail::memory
