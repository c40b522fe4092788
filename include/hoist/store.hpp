// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/requirements.hpp>

#include <hoist/bytes.hpp>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace hoist {

/// One entry, as `StoreBackend::list` reports it.
struct StoreItem {
  std::string name;
  /// Its size as stored.
  std::uint64_t bytes = 0;
  /// When it was last put or got, as far as the store remembers.
  std::chrono::system_clock::time_point last_used = {};
  /// How often it was got since it was put, as far as the store counts that.
  std::uint64_t uses = 0;
};

/// How much a store holds.
struct StoreUsage {
  std::uint64_t items = 0;
  std::uint64_t bytes = 0;
};

/// An entry opened for reading. It stays readable whatever happens to the store meanwhile.
class StoredEntry {
 public:
  virtual ~StoredEntry();
  /// The entry's bytes, from the first on. The source lives as long as the entry, and is read once.
  virtual ByteSource& bytes() = 0;
  /// How many bytes there are.
  virtual std::uint64_t size() = 0;
};

/// A lock on one entry's name, held while the object lives. Destroyed by the thread that took it.
class [[nodiscard]] StoreLock {
 public:
  virtual ~StoreLock();
};

/// An announcement to others, valid while the object lives, of what its maker waits for.
class [[nodiscard]] StoreWait {
 public:
  virtual ~StoreWait();
};

/// Where a Memory keeps its entries: a directory, a table in memory, a networked store.
///
/// Names are relative paths of plain characters, `<function>/<version>/<xx>/<hash>`. All members
/// may be called from many threads at once, and a store may be shared by processes. Failures are
/// reported by exceptions of any kind: to a Memory they are a miss, never a wrong result.
/// tests/memory/store_contract.hpp is the contract as a test suite that any store can be run
/// through.
class StoreBackend {
 public:
  virtual ~StoreBackend();

  /// The entry of that name, or null. Counts as a use of it.
  virtual std::unique_ptr<StoredEntry> get(const std::string& name) = 0;
  /// The same, but doesn't count as a use: for those who look at what there is. This default gets
  /// it.
  virtual std::unique_ptr<StoredEntry> peek(const std::string& name);
  /// Stores what `write` writes; replaces an entry of that name. Readers see the old or the new
  /// entry, never a part. If `write` throws, nothing is stored and the exception passes through.
  virtual void put(const std::string& name, const std::function<void(ByteSink&)>& write) = 0;
  /// Whether there is an entry of that name. Doesn't count as a use.
  virtual bool contains(const std::string& name) = 0;
  /// True if there was an entry. Entries already opened stay readable.
  virtual bool remove(const std::string& name) = 0;
  /// Visits entries whose names begin with `prefix` (whole path components, or empty for all), in
  /// no particular order. Entries put or removed meanwhile may or may not be visited.
  virtual void list(const std::string& prefix,
                    const std::function<void(const StoreItem&)>& visit) = 0;
  /// Waits until no one else, in this process or another, holds the lock of that name, and takes
  /// it. It must end by itself when its holder dies. Null where the store can't lock.
  [[nodiscard]] virtual std::unique_ptr<StoreLock> lock(const std::string& name) = 0;
  /// The lock of that name if nobody holds it, null otherwise. This default gets none.
  [[nodiscard]] virtual std::unique_ptr<StoreLock> try_lock(const std::string& name);
  /// Announces that a caller that holds the locks of `held` will wait for that of `name`. Null if
  /// it must not, because whoever holds `name` waits, perhaps through others, for one of `held`. Of
  /// those that complete a circle at the same time at least one must be told so. This default is
  /// for stores that no other process shares; a Memory sees circles within its own.
  [[nodiscard]] virtual std::unique_ptr<StoreWait> announce_wait(
      const std::string& name, const std::vector<std::string>& held);
  /// How much the store holds, cheaply and approximately. This default counts by `list`.
  virtual StoreUsage usage();
  /// Removes the entries that `list` would visit. This default does so one by one.
  virtual void clear(const std::string& prefix);
};

/// What a factory makes a store from.
struct StoreConfig {
  /// The Memory's location, never empty: absolute for built-in stores, else as it was given but for
  /// a leading "~/". Opening a store should neither fail nor create anything if it isn't there yet.
  std::filesystem::path location;
  /// Entries are to survive a power failure once `put` has returned.
  bool fsync = false;
  /// Only `get`, `peek`, `contains` and `list` will be called, and nothing may be written, not even
  /// that an entry was used.
  bool read_only = false;
};

/// Makes a store; called once for each Memory, by any thread. What it throws, the constructor of
/// the Memory throws.
using StoreFactory = std::function<std::unique_ptr<StoreBackend>(const StoreConfig&)>;

/// Makes `MemoryOptions{.backend = name}` use that factory. "local" (files below the location) and
/// "memory" (this process's memory, shared by the Memory objects of one location) are built in; a
/// name registered again replaces the earlier one. Throws BadArgument for an empty name or factory.
/// Thread-safe.
void register_store_backend(std::string name, StoreFactory factory);

}  // namespace hoist
