// SPDX-License-Identifier: BSD-3-Clause
#include "memory/eviction.hpp"

#include <hoist/error.hpp>

#include <algorithm>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "memory/store.hpp"

namespace hoist::detail::memory {

namespace {

/// An entry as compactly as a list of millions has to be: names are in one common text.
struct Candidate {
  std::chrono::system_clock::time_point used;
  std::uint64_t bytes;
  std::size_t name;
  std::uint32_t name_length;
};

/// The name of the lock that evicting processes take; no entry's name has a dot in front.
const std::string lock_name = ".evict";

std::uint64_t below(std::uint64_t limit) { return limit - limit / 10; }

}  // namespace

void check_limits(const SizeLimits& limits) {
  if (limits.age_limit && *limits.age_limit < std::chrono::nanoseconds::zero()) {
    throw BadArgument("age_limit is negative");
  }
}

StoreUsage reduce_store(StoreBackend& store, const SizeLimits& limits) {
  return reduce_store(store, limits, [&](const auto& visit) { store.list("", visit); });
}

StoreUsage reduce_store(
    StoreBackend& store, const SizeLimits& limits,
    const std::function<void(const std::function<void(const StoreItem&)>&)>& list, bool dry) {
  if (!limits.bytes_limit && !limits.items_limit && !limits.age_limit) return {};
  std::vector<Candidate> candidates;
  std::string names;
  StoreUsage usage;
  list([&](const StoreItem& item) {
    candidates.push_back(
        {item.last_used, item.bytes, names.size(), static_cast<std::uint32_t>(item.name.size())});
    names += item.name;
    usage.bytes += item.bytes;
  });
  usage.items = candidates.size();
  StoreUsage removed;
  Removals removals;
  const auto now = std::chrono::system_clock::now();
  // Where the clock was set back, what was used before that must not count as used last for ever.
  const auto idle = [now](const Candidate& one) { return std::chrono::abs(now - one.used); };
  std::ranges::sort(candidates, std::ranges::greater(), idle);
  for (const Candidate& one : candidates) {
    const bool too_large = (limits.bytes_limit && usage.bytes > limits.bytes_limit->bytes()) ||
                           (limits.items_limit && usage.items > *limits.items_limit);
    const bool too_old = limits.age_limit && idle(one) > *limits.age_limit;
    if (!too_large && !too_old) break;
    const auto remove = [&] { return store.remove(names.substr(one.name, one.name_length)); };
    const std::optional<bool> done = dry ? true : removals.try_one(remove);
    if (!done) continue;
    usage.bytes -= one.bytes;
    --usage.items;
    if (!*done) continue;  // somebody else has removed it
    removed.bytes += one.bytes;
    ++removed.items;
  }
  removals.finish();
  return removed;
}

bool Evictor::is_too_large(StoreBackend& store) const {
  if (!limits_.bytes_limit && !limits_.items_limit) return false;
  const StoreUsage usage = store.usage();
  return (limits_.bytes_limit && usage.bytes > limits_.bytes_limit->bytes()) ||
         (limits_.items_limit && usage.items > *limits_.items_limit);
}

/// Every tenth of the age; less often where a look at all entries takes long.
bool Evictor::is_age_due() {
  if (!limits_.age_limit) return false;
  const std::lock_guard lock(mutex_);
  const auto now = Clock::now();
  if (now < next_age_check_) return false;
  next_age_check_ = now + *limits_.age_limit / 10;
  return true;
}

void Evictor::stored(StoreBackend& store) {
  const bool age_due = is_age_due();
  if (!age_due && !is_too_large(store)) return;
  const auto lock = store.lock(lock_name);
  // Whoever held the lock before has probably done it.
  if (!age_due && !is_too_large(store)) return;
  SizeLimits target = limits_;
  if (target.bytes_limit) target.bytes_limit = below(target.bytes_limit->bytes());
  if (target.items_limit) target.items_limit = below(*target.items_limit);
  const auto start = Clock::now();
  reduce_store(store, target);
  if (age_due) {
    const auto took = Clock::now() - start;
    const std::lock_guard guard(mutex_);
    next_age_check_ = std::max(next_age_check_, start + 20 * took);
  }
}

}  // namespace hoist::detail::memory
