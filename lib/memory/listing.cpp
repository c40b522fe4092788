// SPDX-License-Identifier: BSD-3-Clause
#include "memory/listing.hpp"

#include <hoist/error.hpp>

#include <fnmatch.h>

#include <algorithm>
#include <map>
#include <optional>
#include <tuple>
#include <utility>

#include "memory/entry.hpp"

namespace hoist::detail::memory {

std::string_view function_part(std::string_view name) { return name.substr(0, name.find('/')); }

std::string_view version_part(std::string_view name) {
  const std::size_t from = std::min(name.find('/'), name.size() - 1) + 1;
  return name.substr(from, name.find('/', from) - from);
}

std::unique_ptr<StoredEntry> open_entry(StoreBackend& store, const std::string& name) {
  auto entry = store.peek(name);
  if (!entry) throw NotFound("the entry " + name + " is gone: it was cleared or evicted");
  return entry;
}

EntryMetadata metadata_of(StoreBackend& store, const std::string& name) {
  const auto entry = open_entry(store, name);
  EntryMetadata metadata;
  if (read_entry(*entry, name, {}, metadata) == EntryState::other_type) {
    throw DamagedData(name + " is no entry of a cache, or one of a later version of hoist");
  }
  return metadata;
}

namespace {

/// Of each function so many entries are opened, to know its name and how long it takes to compute.
constexpr std::size_t sample_size = 100;

/// An entry that can't be read is in no list, and no reason to end it.
std::optional<EntryMetadata> try_metadata(StoreBackend& store, const std::string& name) {
  try {
    return metadata_of(store, name);
  } catch (...) {
    return std::nullopt;
  }
}

/// A function while its entries are counted.
struct Tally {
  StoredFunction function;
  std::map<std::string, StoredVersion, std::less<>> versions;
  std::size_t sampled = 0;
  std::chrono::nanoseconds sample_duration = {};
  /// The next entry to be looked into, by the number of entries so far: all of the first ones, then
  /// ever fewer.
  std::uint64_t next_sample = 0;
};

template <class Counts>
void count(Counts& counts, const StoreItem& item) {
  ++counts.items;
  counts.bytes += item.bytes;
  counts.uses += item.uses;
  counts.last_used = std::max(counts.last_used, item.last_used);
}

/// Half of the sample are the first entries, half are spread over all others: each twice as far
/// behind the first as the sixth before it.
void sample(Tally& tally, StoreBackend& store, const StoreItem& item) {
  if (tally.function.items < tally.next_sample || tally.sampled == sample_size) return;
  tally.next_sample =
      tally.sampled < sample_size / 2 ? tally.function.items + 1 : tally.function.items * 9 / 8 + 1;
  const auto metadata = try_metadata(store, item.name);
  if (!metadata) return;
  if (tally.sampled++ == 0) tally.function.name = metadata->function;
  tally.sample_duration += metadata->duration;
}

StoredFunction finished(Tally&& tally) {
  StoredFunction& function = tally.function;
  if (function.name.empty()) {  // nothing of it can be read
    function.name = function.directory.substr(0, function.directory.rfind('-'));
  }
  if (tally.sampled > 0) {
    const auto mean =
        static_cast<double>(tally.sample_duration.count()) / static_cast<double>(tally.sampled);
    function.saved = std::chrono::nanoseconds(
        static_cast<std::int64_t>(mean * static_cast<double>(function.uses)));
  }
  for (auto& [name, version] : tally.versions) {
    version.version = name;
    function.versions.push_back(std::move(version));
  }
  std::ranges::sort(function.versions, [](const StoredVersion& a, const StoredVersion& b) {
    return std::tie(b.last_used, a.version) < std::tie(a.last_used, b.version);
  });
  return std::move(function);
}

}  // namespace

bool Listing::is_function_meant(const StoreItem& item) {
  if (filter_.function.empty()) return true;
  const std::string directory(function_part(item.name));
  const auto known = functions_.find(directory);
  if (known != functions_.end()) return known->second;
  const auto metadata = try_metadata(store_, item.name);
  if (!metadata) return false;  // perhaps the next entry tells
  const bool meant = ::fnmatch(filter_.function.c_str(), metadata->function.c_str(), 0) == 0;
  functions_.emplace(directory, meant);
  return meant;
}

bool Listing::is_meant(const StoreItem& item) {
  if (!is_function_meant(item)) return false;
  if (filter_.tags.empty()) return true;
  const auto metadata = try_metadata(store_, item.name);
  return metadata && std::ranges::any_of(metadata->tags, [&](const std::string& tag) {
           return std::ranges::find(filter_.tags, tag) != filter_.tags.end();
         });
}

void Listing::visit(const std::function<void(const StoreItem&)>& visit) {
  store_.list("", [&](const StoreItem& item) {
    if (is_meant(item)) visit(item);
  });
}

std::vector<StoredFunction> stored_functions(StoreBackend& store, const EntryFilter& filter) {
  std::unordered_map<std::string, Tally> tallies;
  Tally* latest = nullptr;  // entries of a function mostly come one after another
  Listing(store, filter).visit([&](const StoreItem& item) {
    const std::string_view directory = function_part(item.name);
    if (latest == nullptr || latest->function.directory != directory) {
      latest = &tallies[std::string(directory)];
      latest->function.directory = directory;
    }
    sample(*latest, store, item);
    count(latest->function, item);
    const std::string_view version = version_part(item.name);
    auto at = latest->versions.find(version);
    if (at == latest->versions.end()) at = latest->versions.emplace(version, StoredVersion()).first;
    count(at->second, item);
  });
  std::vector<StoredFunction> functions;
  for (auto& [directory, tally] : tallies) functions.push_back(finished(std::move(tally)));
  std::ranges::sort(functions, [](const StoredFunction& a, const StoredFunction& b) {
    return std::tie(a.name, a.directory) < std::tie(b.name, b.directory);
  });
  return functions;
}

}  // namespace hoist::detail::memory
