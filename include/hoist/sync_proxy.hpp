// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/requirements.hpp>

#include <hoist/detail/deadline.hpp>
#include <hoist/detail/shared_proxy.hpp>
#include <hoist/sync.hpp>

#include <algorithm>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <type_traits>

// Locks and the like that a manager makes (hoist/manager.hpp). Their functions are those of
// the classes that they stand for (hoist/lock.hpp, hoist/sync.hpp), with the same contracts.
//
// In processes that share memory with the server a proxy has the object itself: that is what here()
// returns and what the proxy converts to, it costs what that does, and lives on without the server.
// Processes that have connected by the manager's address, on other machines too, have each call
// done beside the server, by an agent: a process that they get with their first call, with a thread
// for each of theirs, and which ends as they do. So locks know their holders, and who is killed or
// cut off anywhere is missed as if he had been killed there. A call costs a round trip to the
// server and one to the agent; what is sent must do without shared memory.

namespace hoist {

namespace detail {

/// What is taken and released, for a while: Lockable and TimedLockable.
template <class H>
class LockableProxy : public SharedProxy<H> {
 public:
  using SharedProxy<H>::SharedProxy;

  void lock() const {
    this->use([](const H& it) { it.lock(); });
  }
  [[nodiscard]] bool try_lock() const {
    return this->use([](const H& it) { return it.try_lock(); });
  }
  template <class Rep, class Period>
  [[nodiscard]] bool try_lock_for(std::chrono::duration<Rep, Period> time) const {
    return this->use([](const H& it, const auto& limit) { return it.try_lock_for(limit); }, time);
  }
  template <class Clock, class Duration>
  [[nodiscard]] bool try_lock_until(std::chrono::time_point<Clock, Duration> time) const {
    return try_lock_for(time - Clock::now());
  }
  void unlock() const {
    this->use([](const H& it) { it.unlock(); });
  }
  bool acquire() const { return lock(), true; }
  template <std::same_as<bool> Bool>  // a number would be a time
  bool acquire(Bool blocking) const {
    return blocking ? acquire() : try_lock();
  }
  template <class Rep, class Period>
  [[nodiscard]] bool acquire(std::chrono::duration<Rep, Period> timeout) const {
    return try_lock_for(timeout);
  }
  void release() const { unlock(); }
};

}  // namespace detail

/// A Lock or an RLock, `L`.
template <class L>
class LockProxy : public detail::LockableProxy<L> {
 public:
  using detail::LockableProxy<L>::LockableProxy;

  bool recover() const {
    return this->use([](const L& lock) { return lock.recover(); });
  }
  [[nodiscard]] bool locked() const {
    return this->use([](const L& lock) { return lock.locked(); });
  }
  [[nodiscard]] bool held() const {
    return this->use([](const L& lock) { return lock.held(); });
  }
};

/// A Semaphore or a BoundedSemaphore, `S`.
template <class S>
class SemaphoreProxy : public detail::LockableProxy<S> {
 public:
  using detail::LockableProxy<S>::LockableProxy;

  [[nodiscard]] bool try_acquire() const { return this->try_lock(); }
  template <class Rep, class Period>
  [[nodiscard]] bool try_acquire_for(std::chrono::duration<Rep, Period> time) const {
    return this->try_lock_for(time);
  }
  void release(std::ptrdiff_t n = 1) const {
    this->use([](const S& semaphore, std::ptrdiff_t more) { semaphore.release(more); }, n);
  }
  [[nodiscard]] std::ptrdiff_t value() const {
    return this->use([](const S& semaphore) { return semaphore.value(); });
  }
  [[nodiscard]] std::ptrdiff_t get_value() const { return value(); }
};

/// An Event.
class EventProxy : public detail::SharedProxy<Event> {
 public:
  using SharedProxy::SharedProxy;

  void set() const {
    use([](const Event& event) { event.set(); });
  }
  void clear() const {
    use([](const Event& event) { event.clear(); });
  }
  [[nodiscard]] bool is_set() const {
    return use([](const Event& event) { return event.is_set(); });
  }
  void wait() const {
    use([](const Event& event) { event.wait(); });
  }
  template <class Rep, class Period>
  bool wait(std::chrono::duration<Rep, Period> timeout) const {
    return use([](const Event& event, const auto& time) { return event.wait(time); }, timeout);
  }
};

/// A Condition.
class ConditionProxy : public detail::LockableProxy<Condition> {
 public:
  using LockableProxy::LockableProxy;

  void wait() const {
    use([](const Condition& condition) { condition.wait(); });
  }
  template <class Rep, class Period>
  bool wait(std::chrono::duration<Rep, Period> timeout) const {
    return use([](const Condition& condition, const auto& time) { return condition.wait(time); },
               timeout);
  }
  /// `ready` is called here, twenty times a second at least.
  template <class Ready>
    requires std::is_invocable_r_v<bool, Ready&>
  void wait(Ready ready) const {
    while (!ready()) wait(std::chrono::milliseconds(50));
  }
  template <class Ready, class Rep, class Period>
    requires std::is_invocable_r_v<bool, Ready&>
  bool wait(Ready ready, std::chrono::duration<Rep, Period> timeout) const {
    const auto deadline = detail::deadline_after(timeout);
    while (!ready()) {
      const auto left = deadline - detail::Deadline::clock::now();
      if (left.count() <= 0) return false;
      wait(std::min<detail::Deadline::duration>(left, std::chrono::milliseconds(50)));
    }
    return true;
  }
  void notify_all() const {
    use([](const Condition& condition) { condition.notify_all(); });
  }
  void notify_one() const { notify_all(); }
  void notify() const { notify_all(); }
};

/// A Barrier.
class BarrierProxy : public detail::SharedProxy<Barrier> {
 public:
  using SharedProxy::SharedProxy;

  std::ptrdiff_t wait() const {
    return use([](const Barrier& barrier) { return barrier.wait(); });
  }
  template <class Rep, class Period>
  std::ptrdiff_t wait(std::chrono::duration<Rep, Period> timeout) const {
    return use([](const Barrier& barrier, const auto& time) { return barrier.wait(time); },
               timeout);
  }
  void abort() const {
    use([](const Barrier& barrier) { barrier.abort(); });
  }
  void reset() const {
    use([](const Barrier& barrier) { barrier.reset(); });
  }
  [[nodiscard]] bool broken() const {
    return use([](const Barrier& barrier) { return barrier.broken(); });
  }
  [[nodiscard]] std::ptrdiff_t parties() const {
    return use([](const Barrier& barrier) { return barrier.parties(); });
  }
  [[nodiscard]] std::ptrdiff_t n_waiting() const {
    return use([](const Barrier& barrier) { return barrier.n_waiting(); });
  }
};

}  // namespace hoist
