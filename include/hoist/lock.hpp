// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/requirements.hpp>

#include <hoist/detail/deadline.hpp>
#include <hoist/detail/shared_handle.hpp>
#include <hoist/error.hpp>

#include <chrono>
#include <concepts>
#include <utility>

// Synchronisation of threads and processes, after Python's multiprocessing, safe against processes
// that are killed.
//
// All of these are handles: a copy is the same object, and so is the one that a task gets as an
// argument or a part of one, on every backend, or that a forked child inherits. An object lives in
// shared memory of its own, which is freed with its last handle. Each takes a file descriptor;
// together they may use a quarter of the process's limit, after which constructors throw
// SystemError. Handles can't be stored, hashed, or be arguments or results of cached functions. All
// functions may be called from several threads and processes at a time, also through const handles;
// a handle that was moved from may only be assigned to or destroyed.
//
// A thread that waits spins for some microseconds, then sleeps in the kernel. Waiting threads get
// their turn in no particular order, and there is no priority inheritance. A wait ends early, with
// an error or the lock, when the process that it depends on has died.

namespace hoist {

namespace detail::multiprocess {
class RobustMutex;
}

/// What Lock and RLock do when the process or thread that holds them ends without releasing them.
enum class OwnerDeath : unsigned char {
  poison,   ///< everybody who takes the lock gets OwnerDied until someone calls recover()
  recover,  ///< the next one takes it as if it had been released
};

/// Options of a lock.
struct LockOptions {
  OwnerDeath on_owner_death = OwnerDeath::poison;
};

/// What Lock and RLock have in common; Lockable and TimedLockable as the standard library wants
/// them. Cost where nobody else wants the lock: that of a robust mutex of POSIX threads.
class LockHandle : public detail::SharedHandle {
 public:
  /// Waits until the lock is free and takes it. Throws OwnerDied if its holder died, also long ago;
  /// the lock is then not taken. Throws BadArgument for a Lock that this thread holds.
  void lock() const;
  /// Takes the lock if it is free. Throws OwnerDied as lock() does.
  [[nodiscard]] bool try_lock() const;
  /// Likewise, but waits for it up to the time given. False if it did not become free.
  template <class Rep, class Period>
  [[nodiscard]] bool try_lock_for(std::chrono::duration<Rep, Period> time) const {
    return take(detail::deadline_after(time));
  }
  template <class Clock, class Duration>
  [[nodiscard]] bool try_lock_until(std::chrono::time_point<Clock, Duration> time) const {
    return take(detail::deadline_at(time));
  }
  /// Throws BadArgument if this thread does not hold it.
  void unlock() const;
  /// Takes a lock whose holder died, and makes it usable again for everybody: on return the lock is
  /// held by this thread. True: it was poisoned, and this thread has to put in order what it
  /// protects. False: it was not, or somebody else has recovered it. Of a lock that this thread
  /// holds (as Condition::wait leaves it) only the poison is removed.
  bool recover() const;
  /// Whether somebody holds it at this moment; a holder that died does until the next takes it.
  [[nodiscard]] bool locked() const;
  /// Whether this thread holds it.
  [[nodiscard]] bool held() const;

  /// By the names of Python. True if the lock was taken.
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

 protected:
  LockHandle(bool recursive, const LockOptions& options);
  explicit LockHandle(detail::SharedBlock block) : SharedHandle(std::move(block)) {}

 private:
  friend class Condition;
  void taken() const;
  detail::multiprocess::RobustMutex& mutex() const;
  bool take(std::chrono::steady_clock::time_point deadline) const;
};

/// A mutex that a thread of any process takes once.
class Lock : public LockHandle {
 public:
  /// Throws SystemError where there is no memory or no descriptor left; so do all constructors
  /// here.
  Lock() : Lock(LockOptions{}) {}
  explicit Lock(const LockOptions& options) : LockHandle(false, options) {}
  explicit Lock(detail::SharedBlock block) : LockHandle(std::move(block)) {}
};

/// A mutex that the thread that holds it may take again; it is free when it has been unlocked as
/// often as it was taken.
class RLock : public LockHandle {
 public:
  RLock() : RLock(LockOptions{}) {}
  explicit RLock(const LockOptions& options) : LockHandle(true, options) {}
  explicit RLock(detail::SharedBlock block) : LockHandle(std::move(block)) {}
};

}  // namespace hoist
