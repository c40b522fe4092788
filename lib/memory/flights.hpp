// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/digest.hpp>
#include <hoist/store.hpp>

#include <memory>
#include <string>

namespace hoist::detail::memory {

struct Flight;

/// A lock that a caller holds while it computes, in a list from the innermost one outwards.
struct HeldLock {
  Digest location;
  std::string name;
  const HeldLock* outer = nullptr;
};

/// One caller's part in a computation that several may have asked for at once.
///
/// Among the threads of this process a table decides, which also sees who waits for whom; between
/// processes the store's lock does, where a caller that holds locks announces what it waits for.
/// Neither waits for a clock, and both end with the holder.
class FlightLease {
 public:
  enum class Role {
    leader,    ///< compute, unless the entry has come meanwhile
    follower,  ///< another's computation has ended: look the result up, or ask again
    alone,     ///< compute without a lock: waiting would be for oneself, or for nothing
  };

  /// Joins or begins the computation of `key`; returns at once or when another one has ended.
  /// `location` stands for the store in every process.
  FlightLease(const Digest& key, const Digest& location, StoreBackend& store,
              const std::string& name);
  FlightLease(const FlightLease&) = delete;
  FlightLease& operator=(const FlightLease&) = delete;
  /// Lets the next waiter compute, unless `finished` was called.
  ~FlightLease();

  Role role() const noexcept { return role_; }
  /// Whether a leader holds the store's lock.
  bool is_locked() const noexcept { return lock_ != nullptr; }
  /// The computation has ended; where its result isn't stored, the waiters needn't queue.
  void finished(bool stored);

 private:
  void end();
  void lead(const Digest& location, StoreBackend& store, const std::string& name);

  Digest key_;
  Role role_ = Role::leader;
  bool stored_ = false;
  bool failed_to_store_ = false;
  HeldLock held_;
  std::shared_ptr<Flight> flight_;
  std::unique_ptr<StoreLock> lock_;
};

}  // namespace hoist::detail::memory
