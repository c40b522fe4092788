// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/error.hpp>
#include <hoist/lock.hpp>

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>

#include "os/bell.hpp"
#include "os/process_id.hpp"

namespace hoist::detail::multiprocess {

using Clock = std::chrono::steady_clock;

/// Who waits for other processes looks this often whether they still live.
inline constexpr auto look_interval = std::chrono::milliseconds(50);

/// A mutex in shared memory. The kernel frees it when its holder dies; who takes it next is told,
/// and so are, until somebody recovers it, all others.
class RobustMutex {
 public:
  enum class Taken { yes, no, poisoned };

  RobustMutex(bool recursive, OwnerDeath death);
  RobustMutex(const RobustMutex&) = delete;
  RobustMutex& operator=(const RobustMutex&) = delete;

  /// Waits until the deadline; spins first. With `poisoned` the caller holds the mutex, too. Throws
  /// BadArgument if this thread holds it already and it isn't recursive.
  Taken take(Clock::time_point deadline = Clock::time_point::max());
  /// For the holder.
  void release();
  /// For the holder of a poisoned mutex.
  void heal();
  /// False for memory that is zero.
  bool is_made() const { return is_made_; }
  bool is_poisoned() const { return poison_.load(std::memory_order_relaxed) != 0; }
  /// What is known of the death of the holder; for the holder of a poisoned mutex.
  OwnerDied death() const;
  /// Whether this thread holds it.
  bool is_held() const;
  /// The process that holds it, or 0.
  int holder() const { return os::pid_of(holder_.load(std::memory_order_relaxed)); }
  /// For the holder: how often it has taken the mutex.
  std::uint32_t depth() const { return depth_; }

 private:
  /// After an attempt that has failed with this error; whether the mutex is taken now.
  bool take_slowly(int error, Clock::time_point deadline);
  void note_death();

  pthread_mutex_t mutex_{};
  OwnerDeath death_;
  bool is_made_ = true;
  /// The thread, as os::own_thread() has it; 0 while the mutex is about to change hands.
  std::atomic<std::uint64_t> holder_{0};
  std::uint32_t depth_ = 0;
  std::atomic<std::uint32_t> poison_{0};  // the pid of the holder that died, until it is recovered
  std::atomic<std::int64_t> died_at_{0};  // nanoseconds of the system clock
};

/// For a few instructions on data that are in order at each store: a holder that died in between
/// has done no harm.
class Guard {
 public:
  explicit Guard(RobustMutex& mutex) : mutex_(mutex) { mutex_.take(); }
  Guard(const Guard&) = delete;
  Guard& operator=(const Guard&) = delete;
  ~Guard() { mutex_.release(); }

 private:
  RobustMutex& mutex_;
};

/// Waits on a bell until `ready()` or the deadline; false then. What it waits for may be changed by
/// a process that dies before it rings, so it looks for itself from time to time, and calls
/// `look()`.
template <class Ready, class Look>
bool wait_and_look(os::Bell& bell, Clock::time_point deadline, const Ready& ready,
                   const Look& look) {
  for (bool soon = true;; soon = false) {
    const auto now = Clock::now();
    const auto until = std::min(deadline, now + look_interval);
    if (bell.wait(until, ready, soon)) return true;
    look();
    if (Clock::now() >= deadline) return ready();
  }
}

}  // namespace hoist::detail::multiprocess
