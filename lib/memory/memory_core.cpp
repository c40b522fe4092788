// SPDX-License-Identifier: BSD-3-Clause
#include "memory/memory_core.hpp"

#include <hoist/error.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <utility>

#include "memory/store.hpp"
#include "os/log.hpp"

namespace hoist::detail::memory {

CacheStats Counters::read() const {
  return {.hits = hits.load(),
          .misses = misses.load(),
          .stored = stored.load(),
          .errors = errors.load(),
          .bytes = bytes.load()};
}

namespace {

/// The name of the store: a location with a scheme, "redis://...", says it itself.
std::string store_name(const std::filesystem::path& location, const std::string& backend) {
  const std::string& text = location.native();
  const auto end = text.find("://");
  if (backend != "local" || end == std::string::npos || end == 0) return backend;
  const auto is_letter = [](char c) { return c >= 'a' && c <= 'z'; };
  if (!std::all_of(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(end), is_letter)) {
    return backend;
  }
  return text.substr(0, end);
}

/// With the home directory in place of "~". Relative locations of built-in stores mean the current
/// directory at the time; what a registered store makes of its location is its own affair.
std::filesystem::path resolved(const std::filesystem::path& location, const std::string& store) {
  std::filesystem::path path = location;
  const std::string text = location.string();
  const char* home = std::getenv("HOME");
  if (home != nullptr && (text == "~" || text.starts_with("~/"))) path = home + text.substr(1);
  if (path.empty() || (store != "local" && store != "memory")) return path;
  std::error_code error;
  const auto absolute = std::filesystem::absolute(path, error);
  return error ? path : absolute;
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

MemoryCore::MemoryCore(const std::filesystem::path& location, MemoryOptions options)
    : location_(resolved(location, store_name(location, options.backend))),
      options_(std::move(options)) {
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
  if (!options_.read_only && (limits.bytes_limit || limits.items_limit || limits.age_limit)) {
    evictor_ = std::make_unique<Evictor>(limits);
  }
  options_.local = resolved(options_.local, "local");
  const bool read_only = options_.read_only;
  store_ = make_store(store_name(location_, options_.backend),
                      {.location = location_, .fsync = options_.fsync, .read_only = read_only});
  // A copy of what was read would be written.
  if (options_.local.empty() || read_only) return;
  auto local = make_store("local", {.location = options_.local, .fsync = options_.fsync});
  store_ = make_tiered_store(std::move(local), std::move(store_), limits);
}

void MemoryCore::check_writable(const char* what) const {
  if (!options_.read_only) return;
  throw BadArgument(std::string(what) + ": the Memory at \"" + shown_location() +
                    "\" is read-only (MemoryOptions::read_only)");
}

std::shared_ptr<Counters> MemoryCore::counters(const std::string& function) {
  {
    const std::lock_guard lock(mutex_);
    if (const auto found = counters_.find(function); found != counters_.end()) return found->second;
  }
  // Without the lock: the first counters that a program publishes make fork hooks.
  auto made = std::make_shared<Counters>(function);
  const std::lock_guard lock(mutex_);
  return counters_.try_emplace(function, std::move(made)).first->second;
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

void MemoryCore::store_failed(const std::string& function) {
  if (options_.on_store_error == OnStoreError::fail) throw;
  if (options_.on_store_error == OnStoreError::ignore) return;
  const std::string error = current_error();
  std::string kind = function + ": " + error;
  try {
    throw;
  } catch (const SystemError& system) {
    kind = std::to_string(system.code());  // one line for a full disk, not one for each function
  } catch (...) {
  }
  if (is_first(kind)) {
    log_line(LogLevel::warning, "a result of " + function +
                                    " could not be stored, calls will compute it again: " + error +
                                    " (said once; stats().errors counts)");
  }
}

void MemoryCore::eviction_failed() {
  if (options_.on_store_error == OnStoreError::ignore) return;
  const std::string text = "\"" + shown_location() + "\" could not be kept within its limits: ";
  if (is_first(text)) {
    log_line(LogLevel::warning, text + current_error() + " (said once; stats().errors counts)");
  }
}

std::string MemoryCore::shown_location() const {
  std::string text = location_.string();
  const auto scheme = text.find("://");
  if (scheme == std::string::npos) return text;
  const auto begin = scheme + 3;
  const auto end = text.substr(0, text.find_first_of("/?", begin)).rfind('@');
  if (end == std::string::npos || end < begin) return text;
  return text.erase(begin, end + 1 - begin);
}

void MemoryCore::note_once(const std::string& text) {
  if (is_first(text)) log_line(LogLevel::warning, text);
}

bool MemoryCore::is_first(const std::string& report) {
  const std::lock_guard lock(mutex_);
  return reported_.insert(report).second;
}

std::string current_error() {
  try {
    throw;
  } catch (const std::exception& error) {
    return error.what();
  } catch (...) {
    return "an exception that is no std::exception";
  }
}

void log_line(LogLevel level, const std::string& text) { os::log(level, "memory", text); }

}  // namespace hoist::detail::memory
