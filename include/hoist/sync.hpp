// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/requirements.hpp>

#include <hoist/barrier.hpp>
#include <hoist/detail/async.hpp>
#include <hoist/detail/deadline.hpp>
#include <hoist/detail/shared_handle.hpp>
#include <hoist/error.hpp>
#include <hoist/lock.hpp>

#include <chrono>
#include <concepts>
#include <cstddef>
#include <type_traits>
#include <utility>

// Semaphores, events and conditions for threads and processes; hoist/barrier.hpp has barriers. What
// hoist/lock.hpp says of handles holds for all of them.

namespace hoist {

/// Options of a Semaphore.
struct SemaphoreOptions {
  /// What a process has acquired and not released is given back when the process ends. Set it to
  /// false where one process acquires and another releases, as for signals.
  bool robust = true;
};

/// A counter that acquire() lowers and release() raises; acquire() waits while it is 0. At most 500
/// processes at a time may hold a part of a robust one.
class Semaphore : public detail::SharedHandle {
 public:
  /// Throws BadArgument for a negative value.
  Semaphore() : Semaphore(1) {}
  explicit Semaphore(std::ptrdiff_t value, const SemaphoreOptions& options = {})
      : Semaphore(value, options, false) {}
  explicit Semaphore(detail::SharedBlock block) : SharedHandle(std::move(block)) {}

  /// Returns true. Throws BadArgument if 500 other processes hold some of it; so do the other
  /// forms.
  bool acquire() const { return take(std::chrono::steady_clock::time_point::max()); }
  [[nodiscard]] bool try_acquire() const;
  template <class Rep, class Period>
  [[nodiscard]] bool try_acquire_for(std::chrono::duration<Rep, Period> time) const {
    return take(detail::deadline_after(time));
  }
  template <class Clock, class Duration>
  [[nodiscard]] bool try_acquire_until(std::chrono::time_point<Clock, Duration> time) const {
    return take(detail::deadline_at(time));
  }
  /// May be called by a process that has not acquired anything: the counter then exceeds its first
  /// value. Throws BadArgument for n < 1 and where the counter would overflow.
  void release(std::ptrdiff_t n = 1) const;
  /// The counter at this moment.
  [[nodiscard]] std::ptrdiff_t value() const;

  /// By the names of Python, and for std::unique_lock and the like.
  template <std::same_as<bool> Bool>  // a number would be a time
  bool acquire(Bool blocking) const {
    return blocking ? acquire() : try_acquire();
  }
  template <class Rep, class Period>
  [[nodiscard]] bool acquire(std::chrono::duration<Rep, Period> timeout) const {
    return try_acquire_for(timeout);
  }
  [[nodiscard]] std::ptrdiff_t get_value() const { return value(); }
  void lock() const { acquire(); }
  [[nodiscard]] bool try_lock() const { return try_acquire(); }
  template <class Rep, class Period>
  [[nodiscard]] bool try_lock_for(std::chrono::duration<Rep, Period> time) const {
    return try_acquire_for(time);
  }
  template <class Clock, class Duration>
  [[nodiscard]] bool try_lock_until(std::chrono::time_point<Clock, Duration> time) const {
    return try_acquire_until(time);
  }
  void unlock() const { release(); }

 protected:
  Semaphore(std::ptrdiff_t value, const SemaphoreOptions& options, bool bounded);

 private:
  bool take(std::chrono::steady_clock::time_point deadline) const;
};

/// A Semaphore whose counter never exceeds its first value: one release too many is a BadArgument.
/// What a process releases that has acquired nothing counts for another that has.
class BoundedSemaphore : public Semaphore {
 public:
  BoundedSemaphore() : BoundedSemaphore(1) {}
  explicit BoundedSemaphore(std::ptrdiff_t value, const SemaphoreOptions& options = {})
      : Semaphore(value, options, true) {}
  explicit BoundedSemaphore(detail::SharedBlock block) : Semaphore(std::move(block)) {}
};

/// A flag that processes wait for.
class Event : public detail::SharedHandle {
 public:
  Event();
  explicit Event(detail::SharedBlock block) : SharedHandle(std::move(block)) {}

  /// Sets the flag and wakes all who wait, even if it is cleared at once. Waits for nobody.
  void set() const;
  void clear() const;
  [[nodiscard]] bool is_set() const;
  /// Returns once the flag is set.
  void wait() const { wait_until(std::chrono::steady_clock::time_point::max()); }
  /// Likewise, or false when the time is over.
  template <class Rep, class Period>
  bool wait(std::chrono::duration<Rep, Period> timeout) const {
    return wait_until(detail::deadline_after(timeout));
  }
  /// As wait(), for coroutines and other completion tokens: see hoist/asio.hpp.
  template <class Token = detail::DefaultToken>
  auto async_wait(Token&& token = {}) const {
    return detail::async<Token>().wait(*this, token);
  }

 private:
  bool wait_until(std::chrono::steady_clock::time_point deadline) const;
};

/// Lets processes wait until what a lock protects has changed. To be used with the lock held:
///
///     std::unique_lock held(condition);
///     condition.wait([&] { return !jobs.empty(); });
///
/// A process that dies strands nobody: each notification wakes all who wait, and those with a
/// predicate call it twenty times a second anyway.
class Condition : public detail::SharedHandle {
 public:
  /// With a new RLock.
  Condition() : Condition(RLock()) {}
  explicit Condition(LockHandle lock);
  Condition(detail::SharedBlock block, LockHandle lock)
      : SharedHandle(std::move(block)), lock_(std::move(lock)) {}

  /// Releases the lock, waits for a notification and takes the lock again. May return without one,
  /// as notify_one() wakes all. Throws BadArgument if this thread does not hold the lock, and
  /// OwnerDied, with the lock held, if another holder has died meanwhile: see LockHandle::recover.
  /// So do the other forms.
  void wait() const;
  /// Likewise; false if there was no notification in time.
  template <class Rep, class Period>
  bool wait(std::chrono::duration<Rep, Period> timeout) const {
    return wait_until(detail::deadline_after(timeout));
  }
  /// Waits until `ready()`, which is called with the lock held.
  template <class Ready>
    requires std::is_invocable_r_v<bool, Ready&>
  void wait(Ready ready) const {
    wait_ready(ready, std::chrono::steady_clock::time_point::max());
  }
  /// Likewise, or until the time is over; whether it is ready.
  template <class Ready, class Rep, class Period>
    requires std::is_invocable_r_v<bool, Ready&>
  bool wait(Ready ready, std::chrono::duration<Rep, Period> timeout) const {
    return wait_ready(ready, detail::deadline_after(timeout));
  }
  /// Wakes those who wait. With or without the lock held.
  void notify_one() const { notify_all(); }
  void notify_all() const;
  void notify() const { notify_all(); }

  /// The lock's.
  void lock() const { lock_.lock(); }
  [[nodiscard]] bool try_lock() const { return lock_.try_lock(); }
  template <class Rep, class Period>
  [[nodiscard]] bool try_lock_for(std::chrono::duration<Rep, Period> time) const {
    return lock_.try_lock_for(time);
  }
  void unlock() const { lock_.unlock(); }
  bool acquire() const { return lock_.acquire(); }
  void release() const { lock_.unlock(); }
  /// The lock itself.
  const LockHandle& mutex() const noexcept { return lock_; }

 private:
  template <class Ready>
  bool wait_ready(Ready& ready, std::chrono::steady_clock::time_point deadline) const {
    while (!ready()) {
      if (!wait_briefly(deadline)) return ready();
    }
    return true;
  }
  bool wait_until(std::chrono::steady_clock::time_point deadline) const;
  /// Until a notification, the deadline, or for 50 ms; false after the deadline.
  bool wait_briefly(std::chrono::steady_clock::time_point deadline) const;

  LockHandle lock_;
};

namespace detail {

template <>
struct HandleParts<Condition> {
  template <class Ar>
  static void send(Ar& ar, const Condition& condition) {
    SharedBlock::send(ar, condition.block());
    SharedBlock::send(ar, condition.mutex().block());
  }
  static Condition receive(Decoder& decoder) {
    SharedBlock own = SharedBlock::receive(decoder);
    return {std::move(own), RLock(SharedBlock::receive(decoder))};
  }
};

}  // namespace detail

}  // namespace hoist
