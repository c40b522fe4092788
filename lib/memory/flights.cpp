// SPDX-License-Identifier: BSD-3-Clause
#include "memory/flights.hpp"

#include <condition_variable>
#include <mutex>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "memory/fork_guard.hpp"

namespace hoist::detail {

namespace {

struct Caller {
  const Flight* waits_for = nullptr;
};

thread_local Caller this_caller;

enum class Outcome { none, stored, not_stored, failed };

}  // namespace

struct Flight {
  Caller* owner = nullptr;
  Outcome outcome = Outcome::none;
  std::condition_variable ended;
};

namespace {

class FlightTable final : private ForkGuard {
 public:
  static FlightTable& all() {
    static auto* one = new FlightTable;  // calls may be under way while the process ends
    return *one;
  }

  std::mutex mutex;
  std::unordered_map<Digest, std::shared_ptr<Flight>> flights;
  /// In a forked child: what its parent was computing at the time. Nobody here can wait for it,
  /// since the parent may in turn be waiting for the child.
  std::unordered_set<Digest> of_parent;

 private:
  void before_fork() override { mutex.lock(); }
  void after_fork(bool in_child) override {
    if (in_child) {
      for (auto& [key, flight] : flights) {
        of_parent.insert(key);
        abandoned_.push_back(std::move(flight));
      }
      flights.clear();
    }
    mutex.unlock();
  }

  /// Waiters stand in their condition variables that don't exist here: left alone for good.
  std::vector<std::shared_ptr<Flight>> abandoned_;
};

/// Whether the flight's owner waits, through whatever others, for something this caller computes.
bool waits_for_caller(const Flight& flight, const Caller& caller) {
  const Flight* at = &flight;
  while (at != nullptr) {
    if (at->owner == &caller) return true;
    at = at->owner->waits_for;
  }
  return false;
}

}  // namespace

FlightLease::FlightLease(const Digest& key, StoreBackend& store, const std::string& name)
    : key_(key) {
  auto& table = FlightTable::all();
  {
    std::unique_lock lock(table.mutex);
    const auto found = table.flights.find(key);
    if (found != table.flights.end()) {
      const std::shared_ptr<Flight> flight = found->second;
      if (waits_for_caller(*flight, this_caller)) {
        role_ = Role::alone;
        return;
      }
      this_caller.waits_for = flight.get();
      flight->ended.wait(lock, [&] { return flight->outcome != Outcome::none; });
      this_caller.waits_for = nullptr;
      role_ = flight->outcome == Outcome::not_stored ? Role::alone : Role::follower;
      return;
    }
    if (table.of_parent.contains(key)) {
      role_ = Role::alone;
      return;
    }
    flight_ = std::make_shared<Flight>();
    flight_->owner = &this_caller;
    table.flights.emplace(key, flight_);
  }
  try {
    lock_ = store.lock(name);
  } catch (...) {
    lock_ = nullptr;  // as on a store without locks
  }
}

void FlightLease::finished(bool stored) {
  stored_ = stored;
  failed_to_store_ = !stored;
}

FlightLease::~FlightLease() {
  if (flight_ == nullptr) return;
  lock_.reset();
  auto& table = FlightTable::all();
  {
    const std::lock_guard lock(table.mutex);
    flight_->outcome = stored_            ? Outcome::stored
                       : failed_to_store_ ? Outcome::not_stored
                                          : Outcome::failed;
    const auto found = table.flights.find(key_);
    if (found != table.flights.end() && found->second == flight_) table.flights.erase(found);
  }
  flight_->ended.notify_all();
}

}  // namespace hoist::detail
