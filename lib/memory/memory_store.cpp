// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/error.hpp>

#include <condition_variable>
#include <map>
#include <mutex>
#include <set>
#include <vector>

#include "base/byte_streams.hpp"
#include "memory/store.hpp"
#include "os/fork_hook.hpp"

namespace hoist::detail::memory {

namespace {

using Bytes = std::vector<std::byte>;

struct Item {
  std::shared_ptr<const Bytes> bytes;
  std::chrono::system_clock::time_point used;
  std::uint64_t uses = 0;
};

/// What the stores of one location share.
struct Table {
  std::mutex mutex;
  std::map<std::string, Item> items;
  StoreUsage usage;
  std::set<std::string> locked;
  std::unique_ptr<std::condition_variable> unlocked = std::make_unique<std::condition_variable>();
  /// In a forked child nobody holds what threads of its parent had locked. The condition counts
  /// their waits, so to destroy it would wait for them.
  os::ForkHook fork_hook{mutex, [this] {
                           locked.clear();
                           [[maybe_unused]] const auto* abandoned = unlocked.release();
                           unlocked = std::make_unique<std::condition_variable>();
                         }};
};

std::shared_ptr<Table> table_of(const std::string& location) {
  // Never destroyed: calls may be under way while the process ends.
  struct Tables {
    std::mutex mutex;
    std::map<std::string, std::weak_ptr<Table>> of_locations;
    os::ForkHook fork_hook{mutex};
  };
  static Tables& tables = *new Tables;
  auto made = std::make_shared<Table>();  // not under the lock, since it has a hook
  const std::lock_guard lock(tables.mutex);
  auto& known = tables.of_locations[location];
  auto table = known.lock();
  if (!table) known = table = std::move(made);
  return table;
}

class BytesEntry final : public StoredEntry {
 public:
  explicit BytesEntry(std::shared_ptr<const Bytes> bytes)
      : bytes_(std::move(bytes)), source_(*bytes_) {}
  ByteSource& bytes() override { return source_; }
  std::uint64_t size() override { return bytes_->size(); }

 private:
  std::shared_ptr<const Bytes> bytes_;
  base::SpanSource source_;
};

class TableLock final : public StoreLock {
 public:
  TableLock(std::shared_ptr<Table> table, std::string name)
      : table_(std::move(table)), name_(std::move(name)) {}
  ~TableLock() override {
    {
      const std::lock_guard lock(table_->mutex);
      table_->locked.erase(name_);
    }
    table_->unlocked->notify_all();
  }

 private:
  std::shared_ptr<Table> table_;
  std::string name_;
};

bool is_below(const std::string& name, const std::string& prefix) {
  return prefix.empty() ||
         (name.starts_with(prefix) && (name.size() == prefix.size() || name[prefix.size()] == '/'));
}

class MemoryStore final : public StoreBackend {
 public:
  explicit MemoryStore(std::shared_ptr<Table> table) : table_(std::move(table)) {}

  std::unique_ptr<StoredEntry> get(const std::string& name) override {
    const std::lock_guard lock(table_->mutex);
    const auto found = table_->items.find(name);
    if (found == table_->items.end()) return nullptr;
    found->second.used = std::chrono::system_clock::now();
    ++found->second.uses;
    return std::make_unique<BytesEntry>(found->second.bytes);
  }

  std::unique_ptr<StoredEntry> peek(const std::string& name) override {
    const std::lock_guard lock(table_->mutex);
    const auto found = table_->items.find(name);
    if (found == table_->items.end()) return nullptr;
    return std::make_unique<BytesEntry>(found->second.bytes);
  }

  void put(const std::string& name, const std::function<void(ByteSink&)>& write) override {
    auto bytes = std::make_shared<Bytes>();
    base::VectorSink sink(*bytes);
    write(sink);
    const std::lock_guard lock(table_->mutex);
    forget(name);
    ++table_->usage.items;
    table_->usage.bytes += bytes->size();
    table_->items[name] = {.bytes = std::move(bytes), .used = std::chrono::system_clock::now()};
  }

  bool contains(const std::string& name) override {
    const std::lock_guard lock(table_->mutex);
    return table_->items.contains(name);
  }

  bool remove(const std::string& name) override {
    const std::lock_guard lock(table_->mutex);
    return forget(name);
  }

  void list(const std::string& prefix,
            const std::function<void(const StoreItem&)>& visit) override {
    std::vector<StoreItem> items;
    {
      const std::lock_guard lock(table_->mutex);
      for (auto at = table_->items.lower_bound(prefix);
           at != table_->items.end() && at->first.starts_with(prefix); ++at) {
        if (!is_below(at->first, prefix)) continue;
        items.push_back({at->first, at->second.bytes->size(), at->second.used, at->second.uses});
      }
    }
    for (const auto& item : items) visit(item);
  }

  std::unique_ptr<StoreLock> lock(const std::string& name) override {
    std::unique_lock lock(table_->mutex);
    table_->unlocked->wait(lock, [&] { return !table_->locked.contains(name); });
    table_->locked.insert(name);
    return std::make_unique<TableLock>(table_, name);
  }

  std::unique_ptr<StoreLock> try_lock(const std::string& name) override {
    const std::lock_guard lock(table_->mutex);
    if (!table_->locked.insert(name).second) return nullptr;
    return std::make_unique<TableLock>(table_, name);
  }

  StoreUsage usage() override {
    const std::lock_guard lock(table_->mutex);
    return table_->usage;
  }

 private:
  bool forget(const std::string& name) {
    const auto found = table_->items.find(name);
    if (found == table_->items.end()) return false;
    --table_->usage.items;
    table_->usage.bytes -= found->second.bytes->size();
    table_->items.erase(found);
    return true;
  }

  std::shared_ptr<Table> table_;
};

}  // namespace

std::unique_ptr<StoreBackend> make_memory_store(const StoreConfig& config) {
  return std::make_unique<MemoryStore>(table_of(config.location.string()));
}

}  // namespace hoist::detail::memory
