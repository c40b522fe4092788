// SPDX-License-Identifier: BSD-3-Clause
#include "memory/flights.hpp"

#include <condition_variable>
#include <mutex>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "os/fork_hook.hpp"

namespace hoist::detail::memory {

namespace {

/// A thread that computes or waits. Without a destructor, since destructors of static objects call
/// cached functions after the main thread's `thread_local` objects are gone.
struct Caller {
  const Flight* waits_for = nullptr;
  const HeldLock* held = nullptr;
};

thread_local constinit Caller this_caller;

enum class Outcome { none, stored, not_stored, failed };

}  // namespace

struct Flight {
  Caller* owner = nullptr;
  Outcome outcome = Outcome::none;
  std::condition_variable ended;
};

namespace {

class FlightTable {
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
  void abandon_all() {
    for (auto& [key, flight] : flights) {
      of_parent.insert(key);
      abandoned_.push_back(std::move(flight));
    }
    flights.clear();
  }

  /// Never destroyed: their condition variables count waiters that don't exist in this process, and
  /// to destroy one would wait for them.
  std::vector<std::shared_ptr<Flight>> abandoned_;
  os::ForkHook fork_hook_{mutex, [this] { abandon_all(); }};
};

/// Whether the flight's owner waits, through whatever others, for something this caller computes.
bool waits_for_caller(const Flight& flight, const Caller& caller) {
  // Whoever waited for a flight that has ended goes on; its owner's thread may be gone by now.
  for (const Flight* at = &flight; at != nullptr && at->outcome == Outcome::none;
       at = at->owner->waits_for) {
    if (at->owner == &caller) return true;
  }
  return false;
}

/// Announces to other processes that this caller, which holds locks, is going to wait; null if it
/// must not, or if the store fails to announce it. Within one store announcements show circles.
/// Among several the order of their locations rules them out: nobody waits downwards.
std::unique_ptr<StoreWait> announce_wait(const Digest& location, StoreBackend& store,
                                         const std::string& name) {
  std::vector<std::string> held;
  for (const HeldLock* one = this_caller.held; one != nullptr; one = one->outer) {
    if (one->location == location) {
      held.push_back(one->name);
    } else if (one->location > location) {
      return nullptr;
    }
  }
  try {
    return store.announce_wait(name, held);
  } catch (...) {
    return nullptr;  // waiting unannounced could be for ever
  }
}

}  // namespace

FlightLease::FlightLease(const Digest& key, const Digest& location, StoreBackend& store,
                         const std::string& name)
    : key_(key) {
  auto& table = FlightTable::all();
  std::unique_ptr<StoreWait> announced;
  std::unique_lock lock(table.mutex);
  for (auto found = table.flights.find(key); found != table.flights.end();
       found = table.flights.find(key)) {
    const std::shared_ptr<Flight> flight = found->second;
    if (waits_for_caller(*flight, this_caller)) {
      role_ = Role::alone;
      return;
    }
    if (this_caller.held != nullptr && announced == nullptr) {
      lock.unlock();
      announced = announce_wait(location, store, name);
      if (announced == nullptr) {
        role_ = Role::alone;
        return;
      }
      lock.lock();
      continue;
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
  lock.unlock();
  announced.reset();
  try {
    lead(location, store, name);
  } catch (...) {
    lock_ = nullptr;  // as on a store without locks
  }
}

void FlightLease::lead(const Digest& location, StoreBackend& store, const std::string& name) {
  if (this_caller.held == nullptr) {
    lock_ = store.lock(name);
  } else {
    lock_ = store.try_lock(name);
    if (lock_ == nullptr) {
      const auto announced = announce_wait(location, store, name);
      if (announced == nullptr) {
        end();
        role_ = Role::alone;
        return;
      }
      lock_ = store.lock(name);
    }
  }
  if (lock_ == nullptr) return;
  held_ = {location, name, this_caller.held};
  this_caller.held = &held_;
}

void FlightLease::finished(bool stored) {
  stored_ = stored;
  failed_to_store_ = !stored;
}

FlightLease::~FlightLease() {
  if (this_caller.held == &held_) this_caller.held = held_.outer;
  lock_.reset();
  end();
}

void FlightLease::end() {
  if (flight_ == nullptr) return;
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
  flight_.reset();
}

}  // namespace hoist::detail::memory
