// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/memory.hpp>

#include <hoist/error.hpp>
#include <hoist/hash.hpp>

#include <map>
#include <mutex>
#include <vector>

#include "base/byte_streams.hpp"
#include "memory/function_cache.hpp"
#include "memory/memory_core.hpp"
#include "os/fork_hook.hpp"

namespace hoist {

namespace detail {

MissingResult::~MissingResult() = default;
CallCache::~CallCache() = default;

std::shared_ptr<CallCache> open_function(const std::shared_ptr<memory::MemoryCore>& memory,
                                         const FunctionInfo& info, const CacheOptions& options) {
  return std::make_shared<memory::FunctionCache>(memory, info, options);
}

namespace {

/// An entry that a Shelved carries itself.
class CarriedEntry final : public StoredEntry {
 public:
  explicit CarriedEntry(const std::vector<std::byte>& bytes)
      : size_(bytes.size()), source_(bytes) {}
  ByteSource& bytes() override { return source_; }
  std::uint64_t size() override { return size_; }

 private:
  std::uint64_t size_;
  base::SpanSource source_;
};

}  // namespace

EntryMetadata read_shelved(const std::shared_ptr<memory::MemoryCore>& memory,
                           const EntryAddress& address, const CallOps* ops, void* frame) {
  std::unique_ptr<StoredEntry> entry;
  if (!address.value.empty()) {
    entry = std::make_unique<CarriedEntry>(address.value);
  } else if (memory != nullptr && memory->store() != nullptr && !address.name.empty()) {
    entry = memory->store()->get(address.name);
  }
  if (!entry) {
    throw NotFound("the shelved result " + address.name + " is gone: it was cleared or evicted");
  }
  const auto asked = static_cast<MmapMode>(address.mmap_mode);
  const bool maps = asked == MmapMode::read || asked == MmapMode::copy_on_write;
  const MmapMode mmap = maps ? asked : MmapMode::none;
  EntryMetadata metadata;
  const memory::EntryQuery query{.ops = ops, .frame = frame, .mmap = mmap};
  if (memory::read_entry(*entry, address.name, query, metadata) != memory::EntryState::sound) {
    throw WrongType("the shelved result " + address.name + " has another type");
  }
  return metadata;
}

void clear_shelved(const std::shared_ptr<memory::MemoryCore>& memory, EntryAddress& address) {
  address.value.clear();
  if (memory != nullptr && !address.name.empty()) memory->check_writable("Shelved::clear");
  if (memory != nullptr && memory->store() != nullptr && !address.name.empty()) {
    memory->store()->remove(address.name);
    if (auto* hot = memory->hot()) hot->clear();
  }
}

CacheOptions options_of(const CacheParts& parts) {
  CacheOptions options{.name = parts.name,
                       .version = parts.version,
                       .ignore = {parts.ignore.begin(), parts.ignore.end()},
                       .code = static_cast<CodeCheck>(parts.code),
                       .tags = parts.tags,
                       .verbose = parts.verbose};
  if (parts.mmap_mode) options.mmap_mode = static_cast<MmapMode>(*parts.mmap_mode);
  if (parts.compress) options.compress = Compression(parts.codec, parts.level);
  return options;
}

MemoryParts parts_of(const std::shared_ptr<memory::MemoryCore>& memory) {
  if (memory == nullptr) return {};
  const MemoryOptions& options = memory->options();
  MemoryParts parts{.location = memory->location().string(),
                    .backend = options.backend,
                    .local = options.local.string()};
  parts.codec = options.compress.codec();
  parts.level = options.compress.level();
  parts.compress = options.compress.is_set();
  parts.mmap_mode = static_cast<std::uint8_t>(options.mmap_mode);
  parts.verbose = options.verbose;
  if (options.bytes_limit) parts.bytes_limit = options.bytes_limit->bytes();
  parts.items_limit = options.items_limit;
  if (options.age_limit) parts.age_limit = options.age_limit->count();
  parts.single_flight = options.single_flight;
  parts.hot_bytes = options.hot_bytes.bytes();
  parts.fsync = options.fsync;
  parts.on_store_error = static_cast<std::uint8_t>(options.on_store_error);
  parts.read_only = options.read_only;
  parts.on_miss = static_cast<std::uint8_t>(options.on_miss);
  return parts;
}

std::shared_ptr<memory::MemoryCore> open_memory(const MemoryParts& parts) {
  MemoryOptions options{.verbose = parts.verbose,
                        .items_limit = parts.items_limit,
                        .single_flight = parts.single_flight,
                        .hot_bytes = parts.hot_bytes,
                        .fsync = parts.fsync,
                        .read_only = parts.read_only,
                        .on_miss = static_cast<OnMiss>(parts.on_miss),
                        .backend = parts.backend,
                        .local = parts.local};
  if (parts.compress) options.compress = Compression(parts.codec, parts.level);
  options.mmap_mode = static_cast<MmapMode>(parts.mmap_mode);
  if (parts.bytes_limit) options.bytes_limit = *parts.bytes_limit;
  if (parts.age_limit) options.age_limit = std::chrono::nanoseconds(*parts.age_limit);
  options.on_store_error = static_cast<OnStoreError>(parts.on_store_error);
  // A worker that is sent a Memory with each of its tasks keeps one, with its mapped record of uses
  // and its counts.
  struct Opened {
    std::mutex mutex;
    std::map<Digest, std::weak_ptr<memory::MemoryCore>> cores;
    os::ForkHook fork_hook{mutex};
  };
  static Opened& opened = *new Opened;
  const Digest key = hash(parts);
  const auto find = [&] {
    const std::lock_guard lock(opened.mutex);
    return opened.cores[key].lock();
  };
  if (auto core = find()) return core;
  // Not under the lock, since a store's factory may do anything. Of two made at once, either will
  // do.
  auto core = std::make_shared<memory::MemoryCore>(parts.location, std::move(options));
  const std::lock_guard lock(opened.mutex);
  opened.cores[key] = core;
  return core;
}

}  // namespace detail

Memory::Memory(const std::filesystem::path& location, const MemoryOptions& options)
    : core_(std::make_shared<detail::memory::MemoryCore>(location, options)) {}

void Memory::clear() const {
  if (core_->store() == nullptr) return;
  core_->check_writable("Memory::clear");
  core_->store()->clear("");
  if (auto* hot = core_->hot()) hot->clear();
}

MemoryStats Memory::stats() const { return core_->stats(); }
const std::filesystem::path& Memory::location() const noexcept { return core_->location(); }
const MemoryOptions& Memory::options() const noexcept { return core_->options(); }

}  // namespace hoist
