// SPDX-License-Identifier: BSD-3-Clause
#include <array>
#include <ctime>
#include <set>

#include "memory/function_cache.hpp"
#include "memory/known_functions.hpp"

namespace hoist::detail::memory {

namespace {

std::string when(std::chrono::system_clock::time_point time) {
  const std::time_t seconds = std::chrono::system_clock::to_time_t(time);
  std::tm parts{};
  std::array<char, 40> text{};
  ::localtime_r(&seconds, &parts);
  return std::strftime(text.data(), text.size(), "%F %T", &parts) > 0 ? text.data() : "?";
}

/// Why the entry that is there would not be used; empty if it would be.
std::string fault_of(StoredEntry& entry, const std::string& name, const EntryQuery& query,
                     EntryMetadata& metadata) {
  try {
    switch (read_entry(entry, name, query, metadata)) {
      case EntryState::sound: return {};
      case EntryState::other_type: return "the stored result has another type than the function's";
      case EntryState::other_arguments:
        return "the stored result belongs to other arguments with the same hash";
      case EntryState::rejected:
        return "the validate callback refuses the result of " + when(metadata.created);
      case EntryState::changed: {
        const CacheDependency* const changed = find_changed(metadata.dependencies);
        return (changed != nullptr ? changed->function : "a cached function") +
               ", which was called while the stored result was computed, has changed since, or "
               "the variables that it reads have";
      }
    }
  } catch (const std::exception& error) {
    return std::string("the stored result can't be read: ") + error.what();
  }
  return {};
}

}  // namespace

std::string FunctionCache::explain(const Call& asked) {
  const Call call = with_variables(asked);
  const std::string text = name() + "(" + call.ops->summary(call.frame) + "): ";
  StoreBackend* store = memory_->store();
  if (store == nullptr) return text + "computed at every call, since the Memory has no location";
  const std::string name = address_of(call).name;
  const std::string hash = call.key.hex();
  const std::string version = directory_.substr(directory_.find('/') + 1);
  EntryMetadata metadata;
  if (const auto entry = store->peek(name)) {
    const EntryQuery query{
        .ops = call.ops, .content = &call.content, .validate = &options_.validate, .mmap = mmap_};
    const std::string fault = fault_of(*entry, name, query, metadata);
    if (!fault.empty()) return text + "a miss: " + fault;
    return text + "would be answered from the cache, with the result of " + when(metadata.created);
  }
  std::uint64_t others = 0;
  std::set<std::string> versions;
  std::string same;
  store->list(directory_.substr(0, directory_.find('/')), [&](const StoreItem& item) {
    const std::string rest = item.name.substr(directory_.find('/') + 1);
    const std::string its_version = rest.substr(0, rest.find('/'));
    if (its_version + "/" == version) {
      ++others;
    } else {
      versions.insert(its_version);
      if (rest.ends_with(hash)) same = item.name;
    }
  });
  if (!same.empty()) {
    const auto entry = store->peek(same);
    if (entry) fault_of(*entry, same, {}, metadata);
    return text +
           "a miss: the function's code, or its version, has changed since this was computed" +
           " at " + when(metadata.created) + " (then " + same.substr(same.find('/') + 1) +
           ", now " + version + ")";
  }
  if (others > 0) {
    return text + "a miss: " + std::to_string(others) +
           " results of this function are stored, none for these arguments" +
           (known_->variables.empty() ? "" : " and what the variables that it reads hold now");
  }
  if (!versions.empty()) {
    return text + "a miss: results are stored only for " + std::to_string(versions.size()) +
           " other versions of the function's code";
  }
  return text +
         "a miss: no result of this function is stored (it may have been evicted or cleared)";
}

}  // namespace hoist::detail::memory
