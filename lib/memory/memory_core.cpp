// SPDX-License-Identifier: BSD-3-Clause
#include "memory/memory_core.hpp"

#include <hoist/error.hpp>

#include <unistd.h>

#include <cstdlib>

#include "memory/store.hpp"

namespace hoist::detail::memory {

CacheStats Counters::read() const {
  return {.hits = hits.load(),
          .misses = misses.load(),
          .stored = stored.load(),
          .errors = errors.load(),
          .bytes = bytes.load()};
}

namespace {

std::filesystem::path expanded(const std::filesystem::path& location) {
  const std::string text = location.string();
  if (text != "~" && !text.starts_with("~/")) return location;
  const char* home = std::getenv("HOME");
  if (home == nullptr) return location;
  return home + text.substr(1);
}

}  // namespace

const Codec* entry_codec(const Compression& compress, MmapMode mmap) {
  if (compress.level() < 0 || compress.level() > 9) {
    throw BadArgument("compression level " + std::to_string(compress.level()) +
                      " is not between 0 and 9");
  }
  if (mmap == MmapMode::read_write || mmap == MmapMode::write) {
    throw BadArgument(
        "mmap_mode: what is written to a result would change what is stored for its arguments; map "
        "with read, or with copy_on_write to get arrays that can be written to");
  }
  if (!compress.is_set() || compress.is_off()) return nullptr;
  if (mmap != MmapMode::none) {
    throw BadArgument("compressed entries can't be mapped: set compress or mmap_mode, not both");
  }
  return &find_codec(compress.codec().empty() ? "zstd" : compress.codec());
}

MemoryCore::MemoryCore(std::filesystem::path location, MemoryOptions options)
    : location_(expanded(location)), options_(std::move(options)) {
  entry_codec(options_.compress, options_.mmap_mode);
  const SizeLimits limits{options_.bytes_limit, options_.items_limit, options_.age_limit};
  check_limits(limits);
  if (location_.empty()) return;
  std::error_code ignored;
  const auto absolute = std::filesystem::weakly_canonical(location_, ignored).string();
  identity_ = hash_bytes(absolute.data(), absolute.size());
  if (options_.hot_bytes.bytes() > 0) {
    hot_ = std::make_unique<HotResults>(options_.hot_bytes.bytes());
  }
  if (limits.bytes_limit || limits.items_limit || limits.age_limit) {
    evictor_ = std::make_unique<Evictor>(limits);
  }
  store_ = make_store(options_.backend, {.location = location_, .fsync = options_.fsync});
}

std::shared_ptr<Counters> MemoryCore::counters(const std::string& function) {
  const std::lock_guard lock(mutex_);
  auto& found = counters_[function];
  if (!found) found = std::make_shared<Counters>();
  return found;
}

MemoryStats MemoryCore::stats() {
  MemoryStats all;
  const std::lock_guard lock(mutex_);
  for (const auto& [name, counters] : counters_) {
    const CacheStats one = counters->read();
    all.hits += one.hits;
    all.misses += one.misses;
    all.stored += one.stored;
    all.errors += one.errors;
    all.bytes += one.bytes;
    all.functions[name] = one;
  }
  return all;
}

void MemoryCore::store_failed(const std::string& function, const std::exception& error) {
  if (options_.on_store_error == OnStoreError::fail) throw;
  if (options_.on_store_error == OnStoreError::ignore) return;
  const auto* system = dynamic_cast<const SystemError*>(&error);
  const std::string kind =
      system != nullptr ? std::to_string(system->code()) : function + ": " + error.what();
  {
    const std::lock_guard lock(mutex_);
    if (!reported_.insert(kind).second) return;
  }
  log_line("a result of " + function + " could not be stored, calls will compute it again: " +
           error.what() + " (said once; stats().errors counts)");
}

void MemoryCore::note_once(const std::string& text) {
  {
    const std::lock_guard lock(mutex_);
    if (!reported_.insert(text).second) return;
  }
  log_line(text);
}

void log_line(const std::string& text) {
  const std::string line = "[hoist] " + text + "\n";
  // One write, so that the lines of several processes don't mix.
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, line.data(), line.size());
}

}  // namespace hoist::detail::memory
