// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/sync.hpp>

#include <algorithm>
#include <limits>
#include <new>

#include "multiprocess/process_table.hpp"
#include "multiprocess/robust_mutex.hpp"
#include "multiprocess/shared_store.hpp"

namespace hoist {

namespace {

using namespace detail::multiprocess;

/// What a process has acquired and not released. The counter is what is left of `total` without
/// that: so there is no second number that could be wrong after a death between two stores.
struct Holder {
  std::atomic<detail::os::ProcessId> process{0};
  std::atomic<std::int64_t> count{0};

  bool is_vacant() const { return count.load() == 0; }
  void clear() { store(count, std::int64_t{0}); }
};

struct SemaphoreState {
  SemaphoreState(std::int64_t value, bool is_robust, bool is_bounded)
      : robust(is_robust), bounded(is_bounded), first(value), total(value) {}

  const bool robust;
  const bool bounded;
  const std::int64_t first;
  std::atomic<std::int64_t> total;
  RobustMutex mutex{false, OwnerDeath::recover};
  detail::os::Bell bell;
  ProcessTable<Holder> holders;

  std::int64_t value() const {
    std::int64_t left = total.load();
    for (const Holder& holder : holders.entries()) left -= holder.count.load();
    return left;
  }

  /// Takes back what dead processes hold.
  void sweep() {
    holders.sweep(mutex, [](int) {});
  }

  enum class Taken { yes, no, no_room };
  Taken take() {
    const Guard guard(mutex);
    if (value() <= 0) return Taken::no;
    if (!robust) {
      store(total, total.load() - 1);
      return Taken::yes;
    }
    Holder* const own = holders.find_or_add();
    if (own == nullptr) return Taken::no_room;
    store(own->count, own->count.load() + 1);
    return Taken::yes;
  }

  /// For a process that releases what others have acquired, within the bound. With the mutex held.
  void lower_others(std::int64_t n) {
    for (Holder& holder : holders.entries()) {
      const std::int64_t less = std::min(holder.count.load(), n);
      if (less > 0) store(holder.count, holder.count.load() - less);
      n -= less;
    }
  }
};

SemaphoreState& state_of(const Semaphore& semaphore) {
  return semaphore.block().as<SemaphoreState>();
}

}  // namespace

Semaphore::Semaphore(std::ptrdiff_t value, const SemaphoreOptions& options, bool bounded)
    : SharedHandle(detail::SharedBlock::make("hoist-semaphore", sizeof(SemaphoreState))) {
  if (value < 0) {
    throw BadArgument("a semaphore can't begin with " + std::to_string(value) +
                      ": its counter is never negative");
  }
  new (block().data()) SemaphoreState(value, options.robust, bounded);
}

bool Semaphore::take(std::chrono::steady_clock::time_point deadline) const {
  SemaphoreState& state = state_of(*this);
  const auto look = [&] { state.sweep(); };
  const auto ready = [&] { return state.value() > 0; };
  for (bool swept = false;;) {
    const SemaphoreState::Taken taken = state.take();
    if (taken == SemaphoreState::Taken::yes) return true;
    if (taken == SemaphoreState::Taken::no && Clock::now() < deadline) {
      if (!wait_and_look(state.bell, deadline, ready, look)) return false;
    } else if (!swept) {
      state.sweep();
      swept = true;
    } else if (taken == SemaphoreState::Taken::no) {
      return false;
    } else {
      throw BadArgument("more than " + std::to_string(state.holders.capacity) +
                        " processes hold a part of one semaphore");
    }
  }
}

bool Semaphore::try_acquire() const { return take(std::chrono::steady_clock::time_point::min()); }

void Semaphore::release(std::ptrdiff_t n) const {
  if (n < 1) throw BadArgument("a semaphore is released at least once, not " + std::to_string(n));
  SemaphoreState& state = state_of(*this);
  {
    const Guard guard(state.mutex);
    if (state.bounded && n > state.first - state.value()) {
      throw BadArgument("the semaphore was released more often than it was acquired");
    }
    Holder* const own = state.robust ? state.holders.find() : nullptr;
    const std::int64_t held = own != nullptr ? std::min<std::int64_t>(own->count.load(), n) : 0;
    const std::int64_t more = n - held;
    if (more > std::numeric_limits<std::int64_t>::max() - state.total.load()) {
      throw BadArgument("the counter of the semaphore would overflow");
    }
    if (held > 0) store(own->count, own->count.load() - held);
    if (more > 0 && state.robust && state.bounded) {
      state.lower_others(more);
    } else if (more > 0) {
      store(state.total, state.total.load() + more);
    }
  }
  about_to_store();
  state.bell.ring();
}

std::ptrdiff_t Semaphore::value() const {
  SemaphoreState& state = state_of(*this);
  const Guard guard(state.mutex);
  return state.value();
}

}  // namespace hoist
