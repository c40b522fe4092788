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
//
// Time limits count where the call is made, without the way there. All functions may be called by
// several threads at a time, and throw what a call of a managed object throws besides
// (hoist/manager.hpp), ManagerDied where the server is gone, for example.
//
// All are templates, so that a program compiles only what it uses of them.

namespace hoist {

namespace detail {

/// What is taken and released, for a while: Lockable and TimedLockable.
template <class H>
class LockableProxy : public SharedProxy<H> {
 public:
  using SharedProxy<H>::SharedProxy;

  /// Takes it, after waiting for that. A lock whose holder died throws OwnerDied, as it does
  /// everywhere, until somebody recovers it.
  void lock() const {
    this->use([](const H& it) { it.lock(); });
  }
  /// Whether it could be taken at once, or in time. These throw as lock() does.
  [[nodiscard]] bool try_lock() const {
    return this->use([](const H& it) { return it.try_lock(); });
  }
  template <class Rep, class Period>
  [[nodiscard]] bool try_lock_for(std::chrono::duration<Rep, Period> time) const {
    return this->use([](const H& it, const auto& limit) { return it.try_lock_for(limit); }, time);
  }
  template <class Clock, class Duration>
  [[nodiscard]] bool try_lock_until(std::chrono::time_point<Clock, Duration> time) const {
    return try_lock_for(detail::deadline_at(time) - detail::Deadline::clock::now());
  }
  /// Gives it back. Throws BadArgument where this thread does not hold it.
  void unlock() const {
    this->use([](const H& it) { it.unlock(); });
  }

  // By the names of Python. True if it was taken.
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

/// A Lock or an RLock, `L`. Its holders are threads: those of a client that came by the manager's
/// address are told apart as those of this process are.
template <class L>
class LockProxy : public detail::LockableProxy<L> {
 public:
  using detail::LockableProxy<L>::LockableProxy;

  /// Takes a lock whose holder died, and makes it usable again. True: what it protects has to be
  /// put in order, by this thread, which holds it. False: somebody else had recovered it.
  bool recover() const {
    return this->use([](const L& lock) { return lock.recover(); });
  }
  /// Whether somebody holds it at the moment of the answer.
  [[nodiscard]] bool locked() const {
    return this->use([](const L& lock) { return lock.locked(); });
  }
  /// Whether this thread does.
  [[nodiscard]] bool held() const {
    return this->use([](const L& lock) { return lock.held(); });
  }
};

/// A Semaphore or a BoundedSemaphore, `S`. What a client has acquired is given back when it ends,
/// in whatever way, unless the semaphore was made with `.robust = false`.
template <class S>
class SemaphoreProxy : public detail::LockableProxy<S> {
 public:
  using detail::LockableProxy<S>::LockableProxy;

  /// The members are those of Semaphore.
  [[nodiscard]] bool try_acquire() const { return this->try_lock(); }
  template <class Rep, class Period>
  [[nodiscard]] bool try_acquire_for(std::chrono::duration<Rep, Period> time) const {
    return this->try_lock_for(time);
  }
  /// Gives back that many at once. A BoundedSemaphore throws BadArgument above its first value.
  void release(std::ptrdiff_t n = 1) const {
    this->use([](const S& semaphore, std::ptrdiff_t more) { semaphore.release(more); }, n);
  }
  /// How many could be acquired at the moment of the answer.
  [[nodiscard]] std::ptrdiff_t value() const {
    return this->use([](const S& semaphore) { return semaphore.value(); });
  }
  [[nodiscard]] std::ptrdiff_t get_value() const { return value(); }
};

/// An Event: set() wakes all who wait, and whoever waits until clear() does not.
template <std::same_as<Event> E>
class BasicEventProxy : public detail::SharedProxy<E> {
 public:
  using detail::SharedProxy<E>::SharedProxy;

  /// The members are those of Event.
  void set() const {
    this->use([](const E& event) { event.set(); });
  }
  void clear() const {
    this->use([](const E& event) { event.clear(); });
  }
  [[nodiscard]] bool is_set() const {
    return this->use([](const E& event) { return event.is_set(); });
  }
  /// Returns once it is set; with a limit whether it was in time.
  void wait() const {
    this->use([](const E& event) { event.wait(); });
  }
  template <class Rep, class Period>
  bool wait(std::chrono::duration<Rep, Period> timeout) const {
    return this->use([](const E& event, const auto& time) { return event.wait(time); }, timeout);
  }
};
/// A proxy of an Event.
using EventProxy = BasicEventProxy<Event>;

/// A Condition, with the lock that it was made with, which whoever waits holds: BadArgument
/// otherwise. Others may wait for the same without a proxy.
template <std::same_as<Condition> C>
class BasicConditionProxy : public detail::LockableProxy<C> {
 public:
  using detail::LockableProxy<C>::LockableProxy;

  /// Releases the lock until it is notified, and takes it again; with a limit whether that was in
  /// time. Throws OwnerDied as lock() does, and may return for nothing.
  void wait() const {
    this->use([](const C& condition) { condition.wait(); });
  }
  template <class Rep, class Period>
  bool wait(std::chrono::duration<Rep, Period> timeout) const {
    return this->use([](const C& condition, const auto& time) { return condition.wait(time); },
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
  /// Wakes all who wait. There is no way to wake one alone here: the others find that it was not
  /// for them.
  void notify_all() const {
    this->use([](const C& condition) { condition.notify_all(); });
  }
  void notify_one() const { notify_all(); }
  void notify() const { notify_all(); }
};
/// A proxy of a Condition.
using ConditionProxy = BasicConditionProxy<Condition>;

/// A Barrier. A party that ends while it waits, or is cut off, breaks it for the others.
template <std::same_as<Barrier> B>
class BasicBarrierProxy : public detail::SharedProxy<B> {
 public:
  using detail::SharedProxy<B>::SharedProxy;

  /// Waits until all parties do; returns this one's index. Throws BrokenBarrier, with a limit also
  /// when it is over, which breaks the barrier.
  std::ptrdiff_t wait() const {
    return this->use([](const B& barrier) { return barrier.wait(); });
  }
  template <class Rep, class Period>
  std::ptrdiff_t wait(std::chrono::duration<Rep, Period> timeout) const {
    return this->use([](const B& barrier, const auto& time) { return barrier.wait(time); },
                     timeout);
  }
  /// Breaks it; reset() makes it as new, and breaks it for those who wait.
  void abort() const {
    this->use([](const B& barrier) { barrier.abort(); });
  }
  void reset() const {
    this->use([](const B& barrier) { barrier.reset(); });
  }
  [[nodiscard]] bool broken() const {
    return this->use([](const B& barrier) { return barrier.broken(); });
  }
  [[nodiscard]] std::ptrdiff_t parties() const {
    return this->use([](const B& barrier) { return barrier.parties(); });
  }
  [[nodiscard]] std::ptrdiff_t n_waiting() const {
    return this->use([](const B& barrier) { return barrier.n_waiting(); });
  }
};
/// A proxy of a Barrier.
using BarrierProxy = BasicBarrierProxy<Barrier>;

}  // namespace hoist
