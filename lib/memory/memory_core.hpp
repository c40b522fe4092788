// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/codec.hpp>
#include <hoist/memory.hpp>
#include <hoist/store.hpp>

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string>

namespace hoist::detail {

/// Counts of one function, or of all.
struct Counters {
  std::atomic<std::uint64_t> hits{0};
  std::atomic<std::uint64_t> misses{0};
  std::atomic<std::uint64_t> stored{0};
  std::atomic<std::uint64_t> errors{0};
  std::atomic<std::uint64_t> bytes{0};

  CacheStats read() const;
};

/// What the handles of one Memory share.
class MemoryCore {
 public:
  MemoryCore(std::filesystem::path location, MemoryOptions options);

  const std::filesystem::path& location() const noexcept { return location_; }
  const MemoryOptions& options() const noexcept { return options_; }
  /// Null without a location.
  StoreBackend* store() const noexcept { return store_.get(); }

  std::shared_ptr<Counters> counters(const std::string& function);
  MemoryStats stats();

  /// Reports a result that couldn't be stored, as the options say; `error` is what was caught.
  void store_failed(const std::string& function, const std::exception& error);

 private:
  std::filesystem::path location_;
  MemoryOptions options_;
  std::unique_ptr<StoreBackend> store_;
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<Counters>> counters_;
};

/// Writes one line "[hoist] ..." to stderr.
void log_line(const std::string& text);

/// The codec that new entries are compressed with, or null. Throws BadArgument.
const Codec* entry_codec(const Compression& compress, MmapMode mmap);

}  // namespace hoist::detail
