// SPDX-License-Identifier: BSD-3-Clause
#include "memory/function_cache.hpp"

#include <hoist/error.hpp>

#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <vector>

#include "base/byte_streams.hpp"
#include "fingerprint/code_fingerprint.hpp"
#include "memory/dependencies.hpp"
#include "memory/flights.hpp"

namespace hoist::detail::memory {

namespace {

constexpr const char* hoist_version = "0.1.0";

const std::string& host_name() {
  // Never destroyed: calls may be under way while the process ends.
  static const auto* name = [] {
    std::array<char, 256> text{};
    return new std::string(::gethostname(text.data(), text.size() - 1) == 0 ? text.data() : "");
  }();
  return *name;
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

FunctionName name_for(const FunctionInfo& info, const CacheOptions& options) {
  if (options.name.empty()) return name_of(info);
  FunctionName name{options.name, options.name, {}};
  if (options.version.empty()) name.code = name_of(info).code;
  return name;
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
      name_(name_for(info, options)),
      code_(info.code),
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
  // Without a store it takes time only where a computation with a store calls the function.
  if (memory_->store() == nullptr) return;
  directory_ = known().function + "/" + known().version + "/";
  directory_digest_ = hash_bytes(directory_.data(), directory_.size());
}

const KnownFunction& FunctionCache::known() {
  std::call_once(identified_, [this] { known_ = identify(); });
  return *known_;
}

std::unique_ptr<KnownFunction> FunctionCache::identify() {
  std::string function = directory_name(name_.readable, name_.identity);
  const auto of_version = [&](std::string version) {
    return std::make_unique<KnownFunction>(std::move(function), std::move(version),
                                           std::vector<fingerprint::VariableBytes>());
  };
  if (!options_.version.empty()) {
    return of_version(directory_name(options_.version, "version " + options_.version));
  }
  if (options_.code == CodeCheck::none) return of_version("any");
  fingerprint::CodeFingerprint fingerprint = fingerprint::fingerprint_code(code_, options_.code);
  if (!fingerprint.exact && verbose_ >= 1 && memory_->store() != nullptr) {
    memory_->note_once("the code of " + name() + " can't be looked into (" + fingerprint.note +
                       "): its results are computed anew after every rebuild");
  }
  if (!fingerprint.caller_by_pointer.empty() && verbose_ >= 1 && memory_->store() != nullptr) {
    memory_->note_once(fingerprint.caller_by_pointer + ", which " + name() +
                       " reaches, calls functions through pointers: of what these lead to, only "
                       "cached functions and what the code mentions are part of its key (see "
                       "hoist::explain)");
  }
  return std::make_unique<KnownFunction>(std::move(function), fingerprint.digest.hex(),
                                         std::move(fingerprint.variables));
}

/// With what the function reads of variables in its key.
Call FunctionCache::with_variables(const Call& call) const {
  Call result = call;
  if (memory_->store() == nullptr || known_->variables.empty()) return result;
  const Digest parts[] = {call.key, fingerprint::digest_values(known_->variables)};
  result.key = hash_bytes(parts, sizeof parts);
  return result;
}

Digest FunctionCache::hot_key(const Call& call) const {
  return {.low = call.key.low ^ directory_digest_.low,
          .high = call.key.high ^ directory_digest_.high};
}

EntryAddress FunctionCache::address_of(const Call& call) const {
  const std::string hash = call.key.hex();
  EntryAddress address{.mmap_mode = static_cast<std::uint8_t>(mmap_)};
  std::string& name = address.name;
  name.reserve(directory_.size() + 3 + hash.size());
  name += directory_;
  name.append(hash, 0, 2);
  name += '/';
  name += hash;
  return address;
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
  } catch (...) {
    if (again) return Found::damaged;
    ++counters_->errors;
    if (verbose_ >= 1) {
      log_line("an entry of " + this->name() + " is of no use: " + current_error());
    }
    return Found::damaged;
  }
}

bool FunctionCache::store(const std::string& name, const Call& call, EntryMetadata& metadata,
                          std::optional<Encoded>& result) {
  std::uint64_t bytes = 0;
  try {
    result = encode_result(call);
    metadata.result_bytes = encoded_bytes(*result);
    memory_->store()->put(name, [&](ByteSink& out) {
      CountingSink counting(out);
      write_entry(counting, codec_, level_, metadata, call, *result);
      bytes = counting.count();
    });
  } catch (...) {
    ++counters_->errors;
    memory_->store_failed(this->name());
    return false;
  }
  ++counters_->stored;
  counters_->bytes += bytes;
  if (verbose_ >= 10) log_line("stored " + name + ", " + std::to_string(bytes) + " bytes");
  return true;
}

void FunctionCache::evict() {
  Evictor* evictor = memory_->evictor();
  if (evictor == nullptr) return;
  try {
    evictor->stored(*memory_->store());
  } catch (...) {
    ++counters_->errors;
    memory_->eviction_failed();
  }
}

void FunctionCache::keep(const Call& call, const EntryMetadata& metadata,
                         std::optional<Encoded> result) {
  HotResults* hot = memory_->hot();
  if (hot == nullptr || mmap_ != MmapMode::none) return;
  try {
    if (!result) result = encode_result(call);
    hot->put(hot_key(call), call, metadata, std::move(*result));
  } catch (...) {
    ++counters_->errors;  // there is still the store
  }
}

void FunctionCache::hit(const Call& call, void* frame, const EntryMetadata& metadata) {
  counters_->hits.fetch_add(1, std::memory_order_relaxed);
  if (verbose_ >= 2) log_line("found " + name() + "(" + metadata.arguments + ")");
  note(call, metadata.dependencies);
  if (frame != nullptr) keep(call, metadata);
}

void FunctionCache::note(const Call& call, const std::vector<CacheDependency>& dependencies) {
  if (!is_recording()) return;
  const KnownFunction& self = known();
  CacheDependency dependency{.function = self.function,
                             .version = self.version,
                             .symbol = {},
                             .module = {},
                             .scope = {},
                             .check = static_cast<std::uint8_t>(options_.code),
                             .variables = fingerprint::digest_values(self.variables),
                             .key = call.key};
  if (options_.version.empty() && options_.code != CodeCheck::none) {
    dependency.symbol = name_.code.name;
    dependency.module = name_.code.module;
    dependency.scope = name_.code.scope;
  }
  note_dependency(dependency);
  for (const CacheDependency& one : dependencies) note_dependency(one);
}

/// What is needed once the function has returned, off its caller's stack.
class FunctionCache::Miss final : public MissingResult {
 public:
  Miss(FunctionCache& cache, const Call& call, EntryAddress where,
       std::unique_ptr<FlightLease> lease = nullptr)
      : cache_(cache),
        content_(call.content.begin(), call.content.end()),
        call_(call),
        lease_(std::move(lease)) {
    call_.content = content_;
    address = std::move(where);
    metadata.function = cache_.name();
    metadata.arguments = call.ops->summary(call.frame);
    metadata.host = host_name();
    metadata.hoist_version = hoist_version;
    metadata.arguments_bytes = call.bytes;
    if (cache_.verbose_ >= 1) {
      log_line("calling " + metadata.function + "(" + metadata.arguments + ")");
    }
    start_ = std::chrono::steady_clock::now();
  }

  ~Miss() override {
    if (computation_.has_ended()) return;
    try {
      end();  // the function has thrown, which the computation around it may have caught
    } catch (...) {
    }
  }

  /// Without a store: the entry becomes part of its address.
  void carry_entry() { carries_ = true; }

  void finish() override {
    metadata.duration = std::chrono::steady_clock::now() - start_;
    metadata.dependencies = end();
    metadata.created = std::chrono::system_clock::now();
    if (cache_.verbose_ >= 1) log_line(metadata.function + " took " + seconds(metadata.duration));
    if (cache_.memory_->store() != nullptr) {
      store();
    } else if (carries_) {
      const Encoded result = encode_result(call_);
      metadata.result_bytes = encoded_bytes(result);
      base::VectorSink sink(address.value);
      write_entry(sink, nullptr, 0, metadata, call_, result);
    }
  }

 private:
  /// What the computation has called, other than the function itself. The one around it depends on
  /// that, too.
  std::vector<CacheDependency> end() {
    auto called = computation_.end();
    cache_.note(call_, called);
    if (cache_.memory_->store() != nullptr) {
      std::erase_if(called, [&](const CacheDependency& one) {
        return one.function == cache_.known_->function && one.version == cache_.known_->version;
      });
    }
    return called;
  }
  void store() {
    std::optional<Encoded> result;
    const bool stored = cache_.store(address.name, call_, metadata, result);
    if (lease_ != nullptr) lease_->finished(stored);
    lease_.reset();
    if (stored) cache_.evict();
    if (cache_.mmap_ == MmapMode::none) {
      if (result) cache_.keep(call_, metadata, std::move(result));
    } else if (stored) {
      result.reset();  // the computed arrays may be freed as soon as the mapped ones are there
      EntryMetadata again;
      cache_.look_up(address.name, call_, call_.frame, again);
    }
  }

  FunctionCache& cache_;
  std::vector<std::byte> content_;
  Call call_;
  std::unique_ptr<FlightLease> lease_;
  bool carries_ = false;
  Computation computation_;
  std::chrono::steady_clock::time_point start_;
};

std::unique_ptr<MissingResult> FunctionCache::obtain(EntryAddress address, const Call& call,
                                                     void* frame) {
  const std::string& name = address.name;
  EntryMetadata metadata;
  std::unique_ptr<FlightLease> lease;
  if (look_up(name, call, frame, metadata) == Found::yes) {
    hit(call, frame, metadata);
    return nullptr;
  }
  const Digest key{.low = hot_key(call).low ^ memory_->identity().low,
                   .high = hot_key(call).high ^ memory_->identity().high};
  while (memory_->options().single_flight) {
    lease.reset();
    lease = std::make_unique<FlightLease>(key, memory_->identity(), *memory_->store(), name);
    // Somebody may have stored it since, in this process or in another.
    if (lease->role() != FlightLease::Role::alone &&
        look_up(name, call, frame, metadata, true) == Found::yes) {
      lease->finished(true);
      lease.reset();
      hit(call, frame, metadata);
      return nullptr;
    }
    if (lease->role() == FlightLease::Role::follower) continue;
    if (lease->role() == FlightLease::Role::leader && !lease->is_locked() && verbose_ >= 1) {
      memory_->note_once("\"" + memory_->shown_location() +
                         "\" can't be locked: processes that ask for one result at once will each "
                         "compute it");
    }
    break;
  }
  counters_->misses.fetch_add(1, std::memory_order_relaxed);
  return std::make_unique<Miss>(*this, call, std::move(address), std::move(lease));
}

std::unique_ptr<MissingResult> FunctionCache::find(const Call& asked) {
  if (memory_->store() == nullptr) return replace(asked);
  const Call call = with_variables(asked);
  HotResults* hot = memory_->hot();
  if (hot != nullptr && mmap_ == MmapMode::none) {
    if (const auto dependencies = hot->get(hot_key(call), call, options_.validate)) {
      counters_->hits.fetch_add(1, std::memory_order_relaxed);
      note(call, *dependencies);
      return nullptr;
    }
  }
  return obtain(address_of(call), call, call.frame);
}

std::unique_ptr<MissingResult> FunctionCache::find_entry(const Call& asked, EntryAddress& address) {
  const Call call = with_variables(asked);
  if (memory_->store() == nullptr) {
    auto miss = std::make_unique<Miss>(*this, call, EntryAddress());
    miss->carry_entry();
    return miss;
  }
  address = address_of(call);
  return obtain(address, call, nullptr);
}

std::unique_ptr<MissingResult> FunctionCache::replace(const Call& asked) {
  const Call call = with_variables(asked);
  return std::make_unique<Miss>(*this, call,
                                memory_->store() == nullptr ? EntryAddress() : address_of(call));
}

bool FunctionCache::is_cached(const Call& asked) {
  if (memory_->store() == nullptr) return false;
  const Call call = with_variables(asked);
  EntryMetadata metadata;
  return look_up(address_of(call).name, call, nullptr, metadata) == Found::yes;
}

void FunctionCache::clear() {
  if (memory_->store() == nullptr) return;
  memory_->store()->clear(directory_.substr(0, directory_.find('/')));
  if (HotResults* hot = memory_->hot()) hot->clear();
}

CacheParts FunctionCache::parts() const {
  if (options_.validate) {
    throw CannotTravel("the cached function " + name() +
                       " has a validate callback, which can't be sent to another process: make the "
                       "cached function there, from a Memory that is sent");
  }
  CacheParts parts;
  parts.name = options_.name;
  parts.version = options_.version;
  parts.ignore.assign(options_.ignore.begin(), options_.ignore.end());
  parts.code = static_cast<std::uint8_t>(options_.code);
  if (options_.mmap_mode) parts.mmap_mode = static_cast<std::uint8_t>(*options_.mmap_mode);
  parts.compress = options_.compress.is_set();
  parts.codec = options_.compress.codec();
  parts.level = options_.compress.level();
  parts.verbose = options_.verbose;
  return parts;
}

}  // namespace hoist::detail::memory
