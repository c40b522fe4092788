// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/requirements.hpp>

#include <hoist/byte_size.hpp>
#include <hoist/cached.hpp>
#include <hoist/memory_entry.hpp>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace hoist {

/// A cached coroutine: see hoist/asio.hpp.
template <class F, class Signature = typename detail::SignatureOf<F>::type>
class CachedCoroutine;

/// What happens when a result can't be stored (disk full, no permission, directory gone).
enum class OnStoreError : unsigned char {
  warn,    ///< one line on stderr; the call returns its result
  fail,    ///< the call throws the error
  ignore,  ///< nothing; it is counted in `stats().errors`
};

/// What a call does whose result isn't stored.
enum class OnMiss : unsigned char {
  compute,
  fail,  ///< throws NotFound, which names function and arguments
};

/// Limits of a store. Unset ones do not apply.
struct SizeLimits {
  /// Of all entries together, as stored, and their number.
  std::optional<ByteSize> bytes_limit = {};
  std::optional<std::uint64_t> items_limit = {};
  /// How long an entry may go unused.
  std::optional<std::chrono::nanoseconds> age_limit = {};
};

/// Options of a Memory. Functions may have their own `compress`, `mmap_mode` and `verbose`.
struct MemoryOptions {
  /// Method and level for new entries. Off by default. Compressed entries can't be mapped.
  Compression compress = {};
  /// How array results come back: read, or mapped from their entry, also on the computing call;
  /// `read` or `copy_on_write`. Mapping doesn't read the elements, so it doesn't check them either.
  MmapMode mmap_mode = MmapMode::none;
  /// What is told, on stderr or to the handler of `set_log_handler`: 0 only results that
  /// can't be stored, 1 also computed calls and their times, unusable entries and notes, 2 also
  /// hits, 10 also stored entries.
  int verbose = 0;
  /// Keep the store within these limits. After a store that exceeds one, the least recently used
  /// entries are removed until it is 10 % below; ages are checked once in a tenth of `age_limit`.
  std::optional<ByteSize> bytes_limit = {};
  std::optional<std::uint64_t> items_limit = {};
  std::optional<std::chrono::nanoseconds> age_limit = {};
  /// Of the threads and processes that ask for one key at once, let one compute and the others
  /// wait.
  bool single_flight = true;
  /// How many bytes of results to keep in this process's memory too, least recently used out first.
  ByteSize hot_bytes = 0;
  /// Wait until an entry is on the disk before its call returns.
  bool fsync = false;
  /// What happens when a result can't be stored.
  OnStoreError on_store_error = OnStoreError::warn;
  /// Writes nothing: results are read if they are there, computed ones are not stored, and nothing
  /// is recorded of what was used. For caches of others, on any medium. Callers that ask for one
  /// key at once each compute it. What would change the store (`clear`, `put`) throws BadArgument.
  bool read_only = false;
  /// Together with `read_only`: a program that only looks up what another has computed. `call`
  /// computes in any case.
  OnMiss on_miss = OnMiss::compute;
  /// "local", "memory", "redis" (with hoist::redis), or a name given to `register_store_backend`. A
  /// location like "redis://host/name" says it by itself.
  std::string backend = "local";
  /// A directory for copies of entries, in front of a store on another machine: what was read or
  /// computed here once is found there as fast as in a local cache, and can be mapped. Limits hold
  /// for each of the two; what is found there doesn't count as a use of the entry behind it.
  /// A read-only Memory makes no copies.
  std::filesystem::path local = {};
};

/// What a function, or a Memory, has done in this process.
struct CacheStats {
  /// Calls answered from the cache, and those that had to compute.
  std::uint64_t hits = 0;
  std::uint64_t misses = 0;
  /// Entries written.
  std::uint64_t stored = 0;
  /// Results that couldn't be stored, entries that couldn't be used, evictions that failed.
  std::uint64_t errors = 0;
  /// Size of the entries written.
  std::uint64_t bytes = 0;
};

/// The sums, and what they are made of.
struct MemoryStats : CacheStats {
  /// By the functions' names.
  std::map<std::string, CacheStats> functions;
};

/// Remembers the results of functions on disk, or on a server.
///
/// A result belongs to the function's name, the fingerprint of its code (or `.version`), the
/// content of its arguments, and the values of the variables that its code reads and does not write
/// (see CodeCheck::callees). Every process that uses the location finds it again until one of these
/// changes. What a fingerprint can't see is listed in docs/guide/memory.md. An empty location makes
/// every call compute: the same interface with no cache behind it. Copies are cheap and share
/// everything; all members may be called from many threads at once. A Memory is itself a value that
/// can be hashed, dumped and sent to workers.
class [[nodiscard]] Memory {
 public:
  /// Without a cache: every call computes.
  Memory() : Memory(std::filesystem::path()) {}
  /// `location` is created by the first store; a leading `~/` is the home directory. A relative one
  /// means the current directory of this moment, whatever that is later. `redis://host/name` is on
  /// a Redis server, for programs that are linked with hoist::redis (docs/guide/memory.md). Throws
  /// BadArgument for options that can't be met, never because of the state of directory or server.
  [[nodiscard]] explicit Memory(const std::filesystem::path& location,
                                const MemoryOptions& options = {});

  /// The function with this cache in front. See `CachedFunction` for what it does, and
  /// hoist/asio.hpp for coroutines.
  ///
  /// Takes free functions, static and const member functions (the object becomes the first
  /// argument; a virtual one needs `.name` and `.version`, or BadArgument is thrown), lambdas and
  /// function objects with one call operator. The fields of a function object, and a lambda's
  /// captures, count as arguments do; captures must be trivially copyable and hold no pointers or
  /// references, or BadArgument is thrown. Throws BadArgument also for parameters that can't be
  /// hashed and aren't ignored. Cost: a code walk once per function and process.
  template <class F>
  [[nodiscard]] auto cache(F f, const CacheOptions& options = {}) const {
    // Before the condition: clang would compile both branches of one with an error.
    static_assert(sizeof(detail::Cacheable<F>) > 0 && sizeof(detail::CacheableResult<F>) > 0);
    if constexpr (detail::Cacheable<F>::ok && detail::CacheableResult<F>::ok) {
      if constexpr (detail::ReturnedBy<F>::is_awaitable) {
        return CachedCoroutine<F>(core_, std::move(f), options);
      } else {
        return CachedFunction<F>(core_, std::move(f), options);
      }
    } else {
      return detail::RefusedFunction{};
    }
  }

  /// The same for a function named at compile time: `memory.cache<train>()`.
  template <auto f>
  [[nodiscard]] auto cache(const CacheOptions& options = {}) const {
    return cache(detail::FixedFunction<f>{}, options);
  }

  /// One cached call: `cache(f)(args...)`. Costs a little more than calling a cached function that
  /// is kept, since the function is looked up again.
  template <class F, class... Args>
  auto eval(F f, Args&&... args) const {
    return cache(std::move(f))(std::forward<Args>(args)...);
  }

  /// Removes all entries, those of other programs included. What is mapped from them stays valid.
  /// Throws what the store throws, and BadArgument if the Memory is read-only.
  void clear() const;

  /// Removes entries, least recently used first, until all given limits hold, and returns how much
  /// that was. With a filter only the entries that it lets through count and are removed: all of
  /// them with `{.items_limit = 0}`. Throws BadArgument for a negative age, and what the store
  /// throws. Cost: a look at every entry, and with tags reading the heads of all.
  StoreUsage reduce_size(const SizeLimits& limits, const EntryFilter& filter = {}) const;
  /// What `reduce_size` would remove now.
  [[nodiscard]] StoreUsage excess(const SizeLimits& limits, const EntryFilter& filter = {}) const;

  /// The functions that have entries here, of whatever program, by name. Throws what the store
  /// throws. Cost: a look at every entry, and reading the heads of at most a hundred of each
  /// function.
  [[nodiscard]] std::vector<StoredFunction> functions(const EntryFilter& filter = {}) const;
  /// The entries themselves, in no particular order, of whatever function and type:
  ///
  ///     for (const MemoryEntry& entry : memory.entries({.function = "train*"}))
  ///       std::cout << entry.metadata().arguments << ": " << entry.result<double>() << '\n';
  ///
  /// (`CachedFunction::entries` has those of one function with their type.) Throws what the store
  /// throws. Cost: some 200 bytes of memory and a look for each entry.
  [[nodiscard]] std::vector<MemoryEntry> entries(const EntryFilter& filter = {}) const;
  /// The same, one at a time and without the memory. Entries may be removed meanwhile.
  void visit_entries(const std::function<void(const MemoryEntry&)>& visit,
                     const EntryFilter& filter = {}) const;

  /// Copies the entries of another Memory that this one lacks, each checked against its checksums;
  /// so caches of several machines are joined, since no entry depends on where it lies. Throws
  /// BadArgument if this one is read-only or has no location, and what the stores throw.
  TransferCounts merge(const Memory& from, const EntryFilter& filter = {}) const;
  /// Writes the entries to a tar archive, compressed as its extension says (.tar.zst, .tar.gz and
  /// so on); unpacked, it is a cache directory. It appears whole or not at all. Throws SystemError.
  TransferCounts export_to(const std::filesystem::path& archive,
                           const EntryFilter& filter = {}) const;
  /// Adds the entries of such an archive as `merge` does. The archive is untrusted: it can add
  /// entries of any content, but nothing elsewhere than in this store. Throws NotFound, DamagedData
  /// where it is no archive or cut short (what came before stays), and as `merge`.
  TransferCounts import_from(const std::filesystem::path& archive) const;

  /// What this Memory and its copies have done so far in this process.
  [[nodiscard]] MemoryStats stats() const;

  /// Where entries are kept, as an absolute path; empty without a cache. Stores that were
  /// registered get and show the location as it was given.
  [[nodiscard]] const std::filesystem::path& location() const noexcept;
  /// The options it was made with.
  [[nodiscard]] const MemoryOptions& options() const noexcept;

 private:
  friend struct Access;

  template <class Ar>
  void serialize(Ar& ar) {
    detail::serialize_core(ar, core_);
  }

  std::shared_ptr<detail::memory::MemoryCore> core_;
};

}  // namespace hoist
