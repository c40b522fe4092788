// SPDX-License-Identifier: BSD-3-Clause
#include "memory/function_cache.hpp"

#include <hoist/error.hpp>

#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <vector>

#include "fingerprint/code_fingerprint.hpp"
#include "memory/flights.hpp"

namespace hoist::detail::memory {

namespace {

constexpr const char* hoist_version = "0.1.0";

std::string host_name() {
  static const std::string name = [] {
    std::array<char, 256> text{};
    return std::string(::gethostname(text.data(), text.size() - 1) == 0 ? text.data() : "");
  }();
  return name;
}

std::string seconds(std::chrono::nanoseconds duration) {
  std::array<char, 40> text{};
  std::snprintf(text.data(), text.size(), "%.3g s",
                std::chrono::duration<double>(duration).count());
  return text.data();
}

class CountingSink final : public ByteSink {
 public:
  explicit CountingSink(ByteSink& out) : out_(out) {}
  void write(std::span<const std::byte> bytes) override {
    count_ += bytes.size();
    out_.write(bytes);
  }
  std::uint64_t count() const noexcept { return count_; }

 private:
  ByteSink& out_;
  std::uint64_t count_ = 0;
};

/// Large parts are not copied for it.
std::uint64_t encoded_bytes(const Call& call) {
  Encoder encoder;
  call.ops->encode(call.frame, encoder);
  const Encoded value = encoder.take();
  std::uint64_t bytes = value.meta.size();
  for (const auto& segment : value.segments) bytes += segment.bytes;
  return bytes;
}

std::uint64_t mask_of(const FunctionInfo& info, const CacheOptions& options) {
  std::uint64_t mask = 0;
  const std::size_t parameters = info.unhashable.size();
  for (const int index : options.ignore) {
    if (index < 0 || static_cast<std::size_t>(index) >= parameters || index >= 64) {
      throw BadArgument("CacheOptions::ignore: the function has no parameter " +
                        std::to_string(index) + "; its " + std::to_string(parameters) +
                        " parameters count from 0");
    }
    mask |= std::uint64_t{1} << index;
  }
  for (std::size_t i = 0; i < parameters; ++i) {
    if (info.unhashable[i].empty() || (i < 64 && (mask >> i & 1) != 0)) continue;
    throw BadArgument("Memory::cache: parameter " + std::to_string(i) + " (of type " +
                      info.unhashable[i] +
                      ") can't be part of a key, because hoist can't hash it or because it is a "
                      "non-const reference: give it a hoist-storable type, declare it as "
                      "hoist::ignored<T>, or list it in CacheOptions::ignore");
  }
  return mask;
}

}  // namespace

FunctionCache::FunctionCache(std::shared_ptr<MemoryCore> memory, const FunctionInfo& info,
                             const CacheOptions& options)
    : memory_(std::move(memory)),
      options_(options),
      name_(options.name.empty() ? name_of(info) : FunctionName{options.name, options.name}),
      ignored_(mask_of(info, options)),
      mmap_(options.mmap_mode.value_or(memory_->options().mmap_mode)),
      verbose_(options.verbose.value_or(memory_->options().verbose)),
      counters_(memory_->counters(name_.readable)) {
  const Compression& compress =
      options.compress.is_set() ? options.compress : memory_->options().compress;
  codec_ = entry_codec(compress, mmap_);
  level_ = compress.level();
  if (info.code == nullptr && (options.name.empty() || options.version.empty())) {
    throw BadArgument(
        "Memory::cache: which code a virtual member function runs depends on the object: give "
        "CacheOptions::name and version, or cache a function that calls it");
  }
  if (memory_->store() == nullptr) return;
  std::string version = "any";
  if (!options.version.empty()) {
    version = directory_name(options.version, "version " + options.version);
  } else if (options.code != CodeCheck::none) {
    const fingerprint::CodeFingerprint fingerprint =
        fingerprint::fingerprint_code(info.code, options.code);
    version = fingerprint.digest.hex();
    if (!fingerprint.exact && verbose_ >= 1) {
      memory_->note_once("the code of " + name() + " can't be looked into (" + fingerprint.note +
                         "): its results are computed anew after every rebuild");
    }
  }
  directory_ = directory_name(name_.readable, name_.identity) + "/" + version + "/";
  directory_digest_ = hash_bytes(directory_.data(), directory_.size());
}

Digest FunctionCache::hot_key(const Call& call) const {
  return {.low = call.key.low ^ directory_digest_.low,
          .high = call.key.high ^ directory_digest_.high};
}

std::string FunctionCache::entry_name(const Call& call) const {
  const std::string hash = call.key.hex();
  std::string name;
  name.reserve(directory_.size() + 3 + hash.size());
  name += directory_;
  name.append(hash, 0, 2);
  name += '/';
  name += hash;
  return name;
}

FunctionCache::Found FunctionCache::look_up(const std::string& name, const Call& call, void* frame,
                                            EntryMetadata& metadata, bool again) {
  try {
    const auto entry = memory_->store()->get(name);
    if (!entry) return Found::no;
    const EntryQuery query{.ops = call.ops,
                           .frame = frame,
                           .content = &call.content,
                           .validate = &options_.validate,
                           .mmap = mmap_};
    if (read_entry(*entry, name, query, metadata) == EntryState::sound) return Found::yes;
    return Found::unusable;
  } catch (const WrongType&) {
    throw;
  } catch (const std::exception& error) {
    if (again) return Found::damaged;
    ++counters_->errors;
    if (verbose_ >= 1) log_line("an entry of " + this->name() + " is of no use: " + error.what());
    return Found::damaged;
  }
}

EntryMetadata FunctionCache::run_function(const Call& call) {
  EntryMetadata metadata{.function = name(),
                         .arguments = call.ops->summary(call.frame),
                         .host = host_name(),
                         .hoist_version = hoist_version,
                         .arguments_bytes = call.bytes};
  if (verbose_ >= 1) log_line("calling " + name() + "(" + metadata.arguments + ")");
  const auto start = std::chrono::steady_clock::now();
  call.ops->compute(call.frame);
  metadata.duration = std::chrono::steady_clock::now() - start;
  metadata.created = std::chrono::system_clock::now();
  if (verbose_ >= 1) log_line(name() + " took " + seconds(metadata.duration));
  return metadata;
}

bool FunctionCache::store(const std::string& name, const Call& call,
                          const EntryMetadata& metadata) {
  try {
    std::uint64_t bytes = 0;
    memory_->store()->put(name, [&](ByteSink& out) {
      CountingSink counting(out);
      write_entry(counting, codec_, level_, metadata, call);
      bytes = counting.count();
    });
    ++counters_->stored;
    counters_->bytes += bytes;
    if (verbose_ >= 10) log_line("stored " + name + ", " + std::to_string(bytes) + " bytes");
    if (Evictor* evictor = memory_->evictor()) evictor->stored(*memory_->store());
    return true;
  } catch (const std::exception& error) {
    ++counters_->errors;
    memory_->store_failed(this->name(), error);
    return false;
  }
}

bool FunctionCache::compute(const std::string& name, const Call& call, EntryMetadata& metadata) {
  metadata = run_function(call);
  metadata.result_bytes = encoded_bytes(call);
  const bool stored = store(name, call, metadata);
  if (stored && mmap_ != MmapMode::none) {
    EntryMetadata again;
    look_up(name, call, call.frame, again);
  }
  if (HotResults* hot = memory_->hot(); hot != nullptr && mmap_ == MmapMode::none) {
    hot->put(hot_key(call), call, metadata);
  }
  return stored;
}

void FunctionCache::hit(const Call& call, void* frame, const EntryMetadata& metadata) {
  counters_->hits.fetch_add(1, std::memory_order_relaxed);
  if (verbose_ >= 2) log_line("found " + name() + "(" + metadata.arguments + ")");
  HotResults* hot = memory_->hot();
  if (hot != nullptr && frame != nullptr && mmap_ == MmapMode::none) {
    hot->put(hot_key(call), call, metadata);
  }
}

void FunctionCache::obtain(const std::string& name, const Call& call, void* frame) {
  EntryMetadata metadata;
  if (look_up(name, call, frame, metadata) == Found::yes) return hit(call, frame, metadata);
  if (!memory_->options().single_flight) {
    counters_->misses.fetch_add(1, std::memory_order_relaxed);
    compute(name, call, metadata);
    return;
  }
  const Digest key{.low = hot_key(call).low ^ memory_->identity().low,
                   .high = hot_key(call).high ^ memory_->identity().high};
  for (;;) {
    FlightLease lease(key, memory_->identity(), *memory_->store(), name);
    // Somebody may have stored it since, in this process or in another.
    if (lease.role() != FlightLease::Role::alone &&
        look_up(name, call, frame, metadata, true) == Found::yes) {
      lease.finished(true);
      return hit(call, frame, metadata);
    }
    if (lease.role() == FlightLease::Role::follower) continue;
    if (lease.role() == FlightLease::Role::leader && !lease.is_locked() && verbose_ >= 1) {
      memory_->note_once("\"" + memory_->location().string() +
                         "\" can't be locked: processes that ask for one result at once will each "
                         "compute it");
    }
    counters_->misses.fetch_add(1, std::memory_order_relaxed);
    lease.finished(compute(name, call, metadata));
    return;
  }
}

void FunctionCache::run(const Call& call) {
  if (memory_->store() == nullptr) {
    run_function(call);
    return;
  }
  HotResults* hot = memory_->hot();
  if (hot != nullptr && mmap_ == MmapMode::none &&
      hot->get(hot_key(call), call, options_.validate)) {
    counters_->hits.fetch_add(1, std::memory_order_relaxed);
    return;
  }
  obtain(entry_name(call), call, call.frame);
}

EntryMetadata FunctionCache::recompute(const Call& call) {
  if (memory_->store() == nullptr) return run_function(call);
  EntryMetadata metadata;
  compute(entry_name(call), call, metadata);
  return metadata;
}

bool FunctionCache::is_cached(const Call& call) {
  if (memory_->store() == nullptr) return false;
  EntryMetadata metadata;
  return look_up(entry_name(call), call, nullptr, metadata) == Found::yes;
}

EntryAddress FunctionCache::shelve(const Call& call) {
  if (memory_->store() == nullptr) {
    EntryAddress address;
    EntryMetadata metadata = run_function(call);
    metadata.result_bytes = encoded_bytes(call);
    struct VectorSink final : ByteSink {
      explicit VectorSink(std::vector<std::byte>& bytes) : to(bytes) {}
      void write(std::span<const std::byte> bytes) override {
        to.insert(to.end(), bytes.begin(), bytes.end());
      }
      std::vector<std::byte>& to;
    } sink(address.value);
    write_entry(sink, nullptr, 0, metadata, call);
    return address;
  }
  const std::string name = entry_name(call);
  obtain(name, call, nullptr);
  return {name, {}, static_cast<std::uint8_t>(mmap_)};
}

void FunctionCache::clear() {
  if (memory_->store() == nullptr) return;
  memory_->store()->clear(directory_.substr(0, directory_.find('/')));
  if (HotResults* hot = memory_->hot()) hot->clear();
}

}  // namespace hoist::detail::memory
