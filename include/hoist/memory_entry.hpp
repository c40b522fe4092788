// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/requirements.hpp>

#include <hoist/entry.hpp>
#include <hoist/shelved.hpp>
#include <hoist/store.hpp>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace hoist {

class Memory;
class Value;

/// Which entries of a store are meant: those for which all holds that is set.
struct EntryFilter {
  /// A pattern for the function's name (`CachedFunction::name`), in which `*` stands for any
  /// characters, `?` for one and `[abc]` for one of these.
  std::string function = {};
  /// Entries with one of these tags, or more.
  std::vector<std::string> tags = {};
};

/// What is stored for one version of a function: of its code, or of `CacheOptions::version`.
struct StoredVersion {
  std::string version;
  std::uint64_t items = 0;
  std::uint64_t bytes = 0;
  std::chrono::system_clock::time_point last_used = {};
  /// Hits on these entries, in all processes, as far as the store counts them.
  std::uint64_t uses = 0;
};

/// A function as a store knows it: what `Memory::functions` lists. The counts are of all versions.
struct StoredFunction {
  /// `CachedFunction::name`, and its directory in the store: a part of the name, and a hash.
  std::string name;
  std::string directory;
  std::uint64_t items = 0;
  std::uint64_t bytes = 0;
  std::chrono::system_clock::time_point last_used = {};
  std::uint64_t uses = 0;
  /// The time that these hits have saved: their number times how long computing took, as the mean
  /// of at most a hundred entries.
  std::chrono::nanoseconds saved = {};
  /// The one that was used last first.
  std::vector<StoredVersion> versions;
};

/// What was copied between stores.
struct TransferCounts {
  std::uint64_t items = 0;
  std::uint64_t bytes = 0;
  /// Entries that were there already.
  std::uint64_t present = 0;
  /// Entries that were damaged, and left out.
  std::uint64_t damaged = 0;
};

/// An entry of a Memory's store. Copies are cheap; it keeps neither the entry from being removed
/// nor its content. Members that read throw NotFound if it is gone by then, DamagedData or
/// SystemError. Thread-safe.
class MemoryEntry {
 public:
  /// Its name in the store, `<function>/<version>/<xx>/<hash>`.
  [[nodiscard]] const std::string& name() const noexcept { return item_.name; }
  /// The name's first part and second part.
  [[nodiscard]] std::string function_directory() const;
  [[nodiscard]] std::string version() const;
  /// Its size as stored, when it was last used and how often, as of the listing.
  [[nodiscard]] std::uint64_t bytes() const noexcept { return item_.bytes; }
  [[nodiscard]] std::chrono::system_clock::time_point last_used() const noexcept {
    return item_.last_used;
  }
  [[nodiscard]] std::uint64_t uses() const noexcept { return item_.uses; }

  /// Reads what is stored beside the result.
  [[nodiscard]] EntryMetadata metadata() const;
  /// Reads the result. Throws WrongType if it is of another type.
  template <class R>
  [[nodiscard]] R result() const {
    detail::ResultFrame<R> frame;
    detail::read_shelved(memory_, {.name = item_.name}, &frame.reading, &frame);
    return std::move(*frame.result);
  }
  /// Reads the result whatever its type is (hoist/value.hpp).
  [[nodiscard]] Value value() const;
  /// Reads all of the entry and checks it against its checksums, in bounded memory; throws
  /// DamagedData where it is damaged, cut short or no entry at all.
  void verify() const;
  /// Removes it. False if it was gone. Throws BadArgument if the Memory is read-only.
  bool remove() const;

 private:
  friend class Memory;
  MemoryEntry(std::shared_ptr<detail::memory::MemoryCore> memory, StoreItem item)
      : memory_(std::move(memory)), item_(std::move(item)) {}

  std::shared_ptr<detail::memory::MemoryCore> memory_;
  StoreItem item_;
};

}  // namespace hoist
