// SPDX-License-Identifier: BSD-3-Clause
//
// How a call is answered: what is looked up, what is waited for, what is stored.

#include <hoist/error.hpp>
#include <hoist/version.hpp>

#include <array>
#include <chrono>
#include <cstdio>
#include <vector>

#include "base/byte_streams.hpp"
#include "memory/dependencies.hpp"
#include "memory/flights.hpp"
#include "memory/function_cache.hpp"
#include "os/machine_name.hpp"

namespace hoist::detail::memory {

namespace {

const std::string& host_name() {
  // Never destroyed: calls may be under way while the process ends.
  static const auto* name = new std::string(os::machine_name());
  return *name;
}

std::string seconds(std::chrono::nanoseconds duration) {
  std::array<char, 40> text{};
  std::snprintf(text.data(), text.size(), "%.3g s",
                std::chrono::duration<double>(duration).count());
  return text.data();
}

}  // namespace

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
      log_line(LogLevel::warning,
               "an entry of " + this->name() + " is of no use: " + current_error());
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
      base::CountingSink counting(out);
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
  if (verbose_ >= 10)
    log_line(LogLevel::debug, "stored " + name + ", " + std::to_string(bytes) + " bytes");
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
  counters_->hit();
  if (verbose_ >= 2) log_line(LogLevel::debug, "found " + name() + "(" + metadata.arguments + ")");
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

EntryMetadata FunctionCache::describe(const Call& call) const {
  EntryMetadata metadata;
  metadata.function = name();
  metadata.arguments = call.ops->summary(call.frame);
  metadata.host = host_name();
  metadata.hoist_version = HOIST_VERSION_STRING;
  metadata.arguments_bytes = call.bytes;
  metadata.tags = options_.tags;
  return metadata;
}

/// What is needed once the function has returned, off its caller's stack.
class FunctionCache::Miss final : public MissingResult {
 public:
  /// Whether the calls that the computation makes are noted: it has to be one thread's.
  enum class Notes : bool { none, dependencies };

  Miss(FunctionCache& cache, const Call& call, EntryAddress where,
       std::unique_ptr<FlightLease> lease = nullptr, Notes notes = Notes::dependencies)
      : cache_(cache),
        content_(call.content.begin(), call.content.end()),
        call_(call),
        lease_(std::move(lease)) {
    call_.content = content_;
    address = std::move(where);
    metadata = cache_.describe(call);
    if (notes == Notes::dependencies) computation_.emplace();
    if (cache_.verbose_ >= 1) {
      log_line(LogLevel::info, "calling " + metadata.function + "(" + metadata.arguments + ")");
    }
    start_ = std::chrono::steady_clock::now();
  }

  ~Miss() override {
    if (!computation_ || computation_->has_ended()) return;
    try {
      end();  // the function has thrown, which the computation around it may have caught
    } catch (...) {
    }
  }

  /// Where nothing is stored: the entry becomes part of its address.
  void carry_entry() { carries_ = true; }

  void finish() override {
    metadata.duration = std::chrono::steady_clock::now() - start_;
    if (computation_) metadata.dependencies = end();
    metadata.created = std::chrono::system_clock::now();
    if (cache_.verbose_ >= 1)
      log_line(LogLevel::info, metadata.function + " took " + seconds(metadata.duration));
    if (cache_.is_stored()) {
      store();
    } else if (carries_) {
      const Encoded result = encode_result(call_);
      metadata.result_bytes = encoded_bytes(result);
      base::VectorSink sink(address.value);
      write_entry(sink, nullptr, 0, metadata, call_, result);
    } else {
      cache_.keep(call_, metadata);
    }
  }

 private:
  /// What the computation has called, other than the function itself. The one around it depends on
  /// that, too.
  std::vector<CacheDependency> end() {
    auto called = computation_->end();
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
    is_stored = cache_.store(address.name, call_, metadata, result);
    if (lease_ != nullptr) lease_->finished(is_stored);
    lease_.reset();
    if (is_stored) cache_.evict();
    if (cache_.mmap_ == MmapMode::none) {
      if (result) cache_.keep(call_, metadata, std::move(result));
    } else if (is_stored) {
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
  std::optional<Computation> computation_;
  std::chrono::steady_clock::time_point start_;
};

Digest FunctionCache::flight_key(const Call& call) const {
  return {.low = hot_key(call).low ^ memory_->identity().low,
          .high = hot_key(call).high ^ memory_->identity().high};
}

void FunctionCache::fail_if_wanted(const Call& call) const {
  if (memory_->options().on_miss != OnMiss::fail) return;
  throw NotFound("the result of " + name() + "(" + call.ops->summary(call.frame) +
                 ") is not stored, and MemoryOptions::on_miss is OnMiss::fail; explain_miss tells "
                 "why");
}

std::unique_ptr<MissingResult> FunctionCache::obtain(EntryAddress address, const Call& call,
                                                     void* frame) {
  const std::string& name = address.name;
  EntryMetadata metadata;
  std::unique_ptr<FlightLease> lease;
  if (look_up(name, call, frame, metadata) == Found::yes) {
    hit(call, frame, metadata);
    return nullptr;
  }
  fail_if_wanted(call);
  const Digest key = flight_key(call);
  while (memory_->options().single_flight && !memory_->options().read_only) {
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
  counters_->miss();
  return std::make_unique<Miss>(*this, call, std::move(address), std::move(lease));
}

bool FunctionCache::find_hot(const Call& call) {
  HotResults* hot = memory_->hot();
  if (hot == nullptr || mmap_ != MmapMode::none) return false;
  const auto metadata = hot->get(hot_key(call), call, options_.validate);
  if (metadata == nullptr) return false;
  counters_->hit();
  note(call, metadata->dependencies);
  return true;
}

std::unique_ptr<MissingResult> FunctionCache::find(const Call& asked) {
  if (memory_->store() == nullptr) return find_nowhere(asked);
  const Call call = with_variables(asked);
  if (find_hot(call)) return nullptr;
  return obtain(address_of(call), call, call.frame);
}

std::unique_ptr<MissingResult> FunctionCache::find_nowhere(const Call& asked) {
  fail_if_wanted(asked);
  return replace(asked);
}

std::unique_ptr<MissingResult> FunctionCache::find_entry(const Call& asked, EntryAddress& address) {
  const Call call = with_variables(asked);
  std::unique_ptr<MissingResult> miss;
  if (memory_->store() == nullptr) {
    miss = find_nowhere(asked);
  } else {
    address = address_of(call);
    miss = obtain(address, call, nullptr);
  }
  if (miss != nullptr && !is_stored()) static_cast<Miss&>(*miss).carry_entry();
  return miss;
}

std::unique_ptr<MissingResult> FunctionCache::replace(const Call& asked) {
  const Call call = with_variables(asked);
  return std::make_unique<Miss>(*this, call,
                                memory_->store() == nullptr ? EntryAddress() : address_of(call));
}

std::unique_ptr<MissingResult> FunctionCache::find_alone(const Call& asked) {
  if (read(asked)) return nullptr;
  fail_if_wanted(asked);
  counters_->miss();
  const Call call = with_variables(asked);
  return std::make_unique<Miss>(*this, call,
                                memory_->store() == nullptr ? EntryAddress() : address_of(call),
                                nullptr, Miss::Notes::none);
}

bool FunctionCache::read(const Call& asked) {
  if (memory_->store() == nullptr) return false;
  const Call call = with_variables(asked);
  if (find_hot(call)) return true;
  EntryMetadata metadata;
  if (look_up(address_of(call).name, call, call.frame, metadata) != Found::yes) return false;
  hit(call, call.frame, metadata);
  return true;
}

void FunctionCache::put(const Call& asked) {
  memory_->check_writable("CachedFunction::put");
  if (memory_->store() == nullptr) return;
  const Call call = with_variables(asked);
  EntryMetadata metadata = describe(call);
  metadata.created = std::chrono::system_clock::now();
  std::optional<Encoded> result;
  if (!store(address_of(call).name, call, metadata, result)) return;
  evict();
  keep(call, metadata, std::move(result));
}

Digest FunctionCache::flight_of(const Call& asked) { return flight_key(with_variables(asked)); }

bool FunctionCache::is_cached(const Call& asked) {
  if (memory_->store() == nullptr) return false;
  const Call call = with_variables(asked);
  EntryMetadata metadata;
  return look_up(address_of(call).name, call, nullptr, metadata) == Found::yes;
}

}  // namespace hoist::detail::memory
