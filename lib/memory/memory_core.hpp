// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/codec.hpp>
#include <hoist/log.hpp>
#include <hoist/memory.hpp>
#include <hoist/store.hpp>

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "memory/eviction.hpp"
#include "memory/hot_results.hpp"
#include "os/fork_hook.hpp"
#include "status/published.hpp"

namespace hoist::detail::memory {

/// Counts of one function, or of all.
struct Counters {
  explicit Counters(const std::string& function) : published(function) {}
  void hit() noexcept {
    hits.fetch_add(1, std::memory_order_relaxed);
    published.add_hit();
  }
  void miss() noexcept {
    misses.fetch_add(1, std::memory_order_relaxed);
    published.add_miss();
  }

  std::atomic<std::uint64_t> hits{0};
  std::atomic<std::uint64_t> misses{0};
  std::atomic<std::uint64_t> stored{0};
  std::atomic<std::uint64_t> errors{0};
  std::atomic<std::uint64_t> bytes{0};
  status::PublishedFunction published;

  CacheStats read() const;
};

/// What the handles of one Memory share.
class MemoryCore final {
 public:
  /// A relative location of a built-in store is resolved here, once and for all.
  MemoryCore(const std::filesystem::path& location, MemoryOptions options);

  const std::filesystem::path& location() const noexcept { return location_; }
  /// For messages: without what a URL says of a user and a password.
  std::string shown_location() const;
  const MemoryOptions& options() const noexcept { return options_; }
  /// Null without a location.
  StoreBackend* store() const noexcept { return store_.get(); }
  /// Stands for the location among all of this process.
  const Digest& identity() const noexcept { return identity_; }
  /// Null if no results are kept in memory.
  HotResults* hot() const noexcept { return hot_.get(); }
  /// Throws BadArgument if the Memory is read-only.
  void check_writable(const char* what) const;
  /// Null if there are no limits.
  Evictor* evictor() const noexcept { return evictor_.get(); }

  std::shared_ptr<Counters> counters(const std::string& function);
  MemoryStats stats();

  /// Deals with a result that couldn't be stored, because of the exception being handled, as the
  /// options say. Each kind of trouble is reported once.
  void store_failed(const std::string& function);
  /// The same for a store that couldn't be kept within its limits, which never fails a call.
  void eviction_failed();
  /// Warns, if it hasn't before.
  void note_once(const std::string& text);

 private:
  std::filesystem::path location_;
  MemoryOptions options_;
  /// Whether this is reported for the first time.
  bool is_first(const std::string& report);

  Digest identity_;
  std::unique_ptr<StoreBackend> store_;
  std::unique_ptr<HotResults> hot_;
  std::unique_ptr<Evictor> evictor_;
  std::mutex mutex_;
  std::set<std::string> reported_;
  std::map<std::string, std::shared_ptr<Counters>> counters_;
  os::ForkHook fork_hook_{mutex_};
};

/// Tells the user.
void log_line(LogLevel level, const std::string& text);

/// What the exception being handled says.
std::string current_error();

/// The codec that new entries are compressed with, or null. Throws BadArgument.
const Codec* entry_codec(const Compression& compress, MmapMode mmap);

}  // namespace hoist::detail::memory
