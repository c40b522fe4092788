// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/memory_entry.hpp>

#include <hoist/dump.hpp>
#include <hoist/error.hpp>
#include <hoist/memory.hpp>
#include <hoist/value.hpp>

#include <sstream>

#include "memory/entry.hpp"
#include "memory/eviction.hpp"
#include "memory/listing.hpp"
#include "memory/memory_core.hpp"

namespace hoist {

StoreUsage Memory::reduce_size(const SizeLimits& limits, const EntryFilter& filter) const {
  detail::memory::check_limits(limits);
  core_->check_writable("Memory::reduce_size");
  if (core_->store() == nullptr) return {};
  detail::memory::Listing listing(*core_->store(), filter);
  const StoreUsage removed = detail::memory::reduce_store(
      *core_->store(), limits, [&](const auto& visit) { listing.visit(visit); });
  if (auto* hot = core_->hot(); hot != nullptr && removed.items > 0) hot->clear();
  return removed;
}

StoreUsage Memory::excess(const SizeLimits& limits, const EntryFilter& filter) const {
  detail::memory::check_limits(limits);
  if (core_->store() == nullptr) return {};
  detail::memory::Listing listing(*core_->store(), filter);
  return detail::memory::reduce_store(
      *core_->store(), limits, [&](const auto& visit) { listing.visit(visit); }, true);
}

std::vector<StoredFunction> Memory::functions(const EntryFilter& filter) const {
  if (core_->store() == nullptr) return {};
  return detail::memory::stored_functions(*core_->store(), filter);
}

void Memory::visit_entries(const std::function<void(const MemoryEntry&)>& visit,
                           const EntryFilter& filter) const {
  if (core_->store() == nullptr) return;
  detail::memory::Listing(*core_->store(), filter).visit([&](const StoreItem& item) {
    visit(MemoryEntry(core_, item));
  });
}

std::vector<MemoryEntry> Memory::entries(const EntryFilter& filter) const {
  std::vector<MemoryEntry> found;
  visit_entries([&](const MemoryEntry& entry) { found.push_back(entry); }, filter);
  return found;
}

std::string MemoryEntry::function_directory() const {
  return std::string(detail::memory::function_part(name()));
}
std::string MemoryEntry::version() const {
  return std::string(detail::memory::version_part(name()));
}

EntryMetadata MemoryEntry::metadata() const {
  return detail::memory::metadata_of(*memory_->store(), name());
}

Value MemoryEntry::value() const {
  const auto entry = detail::memory::open_entry(*memory_->store(), name());
  Value record;
  if (auto* file = dynamic_cast<detail::memory::FileEntry*>(entry.get())) {
    record = load<Value>(file->file().path());
  } else {
    std::string bytes(entry->size(), '\0');
    bytes.resize(entry->bytes().read(reinterpret_cast<std::byte*>(bytes.data()), bytes.size()));
    std::istringstream in(std::move(bytes));
    record = load<Value>(in);
  }
  const Value* result = record.find("result");
  if (result == nullptr) throw DamagedData(name() + " is no entry of a cache");
  return *result;
}

void MemoryEntry::verify() const {
  struct Nowhere final : ByteSink {
    void write(std::span<const std::byte>) override {}
  } nowhere;
  const auto entry = detail::memory::open_entry(*memory_->store(), name());
  detail::memory::copy_entry(entry->bytes(), nowhere, name());
}

bool MemoryEntry::remove() const {
  memory_->check_writable("MemoryEntry::remove");
  const bool removed = memory_->store()->remove(name());
  if (auto* hot = memory_->hot()) hot->clear();
  return removed;
}

}  // namespace hoist
