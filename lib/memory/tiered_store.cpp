// SPDX-License-Identifier: BSD-3-Clause
#include <array>
#include <atomic>
#include <chrono>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "memory/eviction.hpp"
#include "memory/memory_core.hpp"
#include "memory/store.hpp"

namespace hoist::detail::memory {

namespace {

/// A local store that can't be written is left alone for so long.
constexpr auto rest_of_local = std::chrono::minutes(1);

/// Writes to two sinks; what fails is left out from then on.
class Tee final : public ByteSink {
 public:
  Tee(ByteSink& local, ByteSink& remote) : sinks_{&local, &remote} {}

  void write(std::span<const std::byte> bytes) override {
    for (std::size_t i = 0; i < sinks_.size(); ++i) {
      if (failures_[i] != nullptr) continue;
      try {
        sinks_[i]->write(bytes);
      } catch (...) {
        failures_[i] = std::current_exception();
      }
    }
  }
  std::exception_ptr local_failure() const { return failures_[0]; }
  std::exception_ptr remote_failure() const { return failures_[1]; }

 private:
  std::array<ByteSink*, 2> sinks_;
  std::array<std::exception_ptr, 2> failures_;
};

void copy_bytes(StoredEntry& entry, ByteSink& out) {
  std::vector<std::byte> buffer(std::size_t{256} << 10);
  ByteSource& from = entry.bytes();
  while (const std::size_t got = from.read(buffer.data(), buffer.size())) {
    out.write(std::span(buffer).first(got));
  }
}

/// A remote store, which is the one that counts, and a local one that keeps what was got or put
/// here. Locks are those of the remote one. Trouble with the local one is no trouble of a call.
class TieredStore final : public StoreBackend {
 public:
  TieredStore(std::unique_ptr<StoreBackend> local, std::unique_ptr<StoreBackend> remote,
              const SizeLimits& limits)
      : local_(std::move(local)), remote_(std::move(remote)), evictor_(limits) {}

  std::unique_ptr<StoredEntry> get(const std::string& name) override {
    if (auto entry = find_local(name, &StoreBackend::get)) return entry;
    auto entry = remote_->get(name);
    if (entry == nullptr || is_resting()) return entry;
    try {
      local_->put(name, [&](ByteSink& out) { copy_bytes(*entry, out); });
      evictor_.stored(*local_);
    } catch (...) {
      rest();
    }
    if (auto filled = find_local(name, &StoreBackend::get)) return filled;
    return remote_->get(name);
  }

  std::unique_ptr<StoredEntry> peek(const std::string& name) override {
    auto entry = find_local(name, &StoreBackend::peek);
    return entry ? std::move(entry) : remote_->peek(name);
  }

  void put(const std::string& name, const std::function<void(ByteSink&)>& write) override {
    if (is_resting()) {
      remote_->put(name, write);
      return;
    }
    Writing state;
    try {
      local_->put(name, [&](ByteSink& out) { put_both(name, write, out, state); });
      evictor_.stored(*local_);
    } catch (...) {
      if (state.begun && !state.written) throw;
      rest();
      if (!state.begun) remote_->put(name, write);
    }
    if (state.remote_failure != nullptr) std::rethrow_exception(state.remote_failure);
  }

  bool contains(const std::string& name) override {
    return local_->contains(name) || remote_->contains(name);
  }

  bool remove(const std::string& name) override {
    // In this order: whoever gets it meanwhile would bring it back otherwise.
    const bool was_there = remote_->remove(name);
    return local_->remove(name) || was_there;
  }

  void list(const std::string& prefix,
            const std::function<void(const StoreItem&)>& visit) override {
    remote_->list(prefix, visit);
  }

  std::unique_ptr<StoreLock> lock(const std::string& name) override { return remote_->lock(name); }

  std::unique_ptr<StoreLock> try_lock(const std::string& name) override {
    return remote_->try_lock(name);
  }

  std::unique_ptr<StoreWait> announce_wait(const std::string& name,
                                           const std::vector<std::string>& held) override {
    return remote_->announce_wait(name, held);
  }

  StoreUsage usage() override { return remote_->usage(); }

  void clear(const std::string& prefix) override {
    remote_->clear(prefix);
    local_->clear(prefix);
  }

 private:
  using Clock = std::chrono::steady_clock;

  using Find = std::unique_ptr<StoredEntry> (StoreBackend::*)(const std::string&);

  std::unique_ptr<StoredEntry> find_local(const std::string& name, Find find) {
    try {
      return (local_.get()->*find)(name);
    } catch (...) {
      return nullptr;
    }
  }

  struct Writing {
    bool begun = false;
    bool written = false;  // what failed afterwards was a store
    std::exception_ptr remote_failure;
  };

  /// Writes to the remote store and to `out`. Throws what `write` throws, or else what `out` did.
  void put_both(const std::string& name, const std::function<void(ByteSink&)>& write, ByteSink& out,
                Writing& state) {
    state.begun = true;
    bool reached = false;
    std::exception_ptr local_failure;
    try {
      remote_->put(name, [&](ByteSink& to_remote) {
        reached = true;
        Tee both(out, to_remote);
        write(both);
        state.written = true;
        local_failure = both.local_failure();
        if (both.remote_failure() != nullptr) std::rethrow_exception(both.remote_failure());
      });
    } catch (...) {
      if (reached && !state.written) throw;
      state.remote_failure = std::current_exception();
    }
    if (!reached) write(out);
    state.written = true;
    if (local_failure != nullptr) std::rethrow_exception(local_failure);
  }

  bool is_resting() const { return Clock::now() < resting_until_.load(); }

  /// Because of the exception being handled.
  void rest() {
    resting_until_.store(Clock::now() + rest_of_local);
    if (!reported_.exchange(true)) {
      log_line(LogLevel::warning, "the local copies of a cache can't be kept: " + current_error() +
                                      " (said once; tried again every minute)");
    }
  }

  std::unique_ptr<StoreBackend> local_;
  std::unique_ptr<StoreBackend> remote_;
  Evictor evictor_;  // of the local store
  std::atomic<Clock::time_point> resting_until_{Clock::time_point()};
  std::atomic<bool> reported_{false};
};

}  // namespace

std::unique_ptr<StoreBackend> make_tiered_store(std::unique_ptr<StoreBackend> local,
                                                std::unique_ptr<StoreBackend> remote,
                                                const SizeLimits& limits) {
  return std::make_unique<TieredStore>(std::move(local), std::move(remote), limits);
}

}  // namespace hoist::detail::memory
