// SPDX-License-Identifier: BSD-3-Clause
#include "multiprocess/robust_mutex.hpp"

#include <hoist/error.hpp>

#include <cerrno>
#include <ctime>

#include "base/spin.hpp"
#include "multiprocess/shared_store.hpp"

namespace hoist::detail::multiprocess {

namespace {

void check(int error, const char* what) {
  if (error != 0) throw SystemError(what, error);
}

timespec to_timespec(Clock::time_point time) {
  const auto since = time.time_since_epoch();
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(since);
  timespec result{};
  result.tv_sec = static_cast<std::time_t>(seconds.count());
  result.tv_nsec = static_cast<long>(std::chrono::nanoseconds(since - seconds).count());
  return result;
}

}  // namespace

RobustMutex::RobustMutex(bool recursive, OwnerDeath death) : death_(death) {
  pthread_mutexattr_t attributes;
  check(::pthread_mutexattr_init(&attributes), "can't make a lock");
  ::pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
  ::pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
  ::pthread_mutexattr_settype(&attributes,
                              recursive ? PTHREAD_MUTEX_RECURSIVE : PTHREAD_MUTEX_ERRORCHECK);
  const int error = ::pthread_mutex_init(&mutex_, &attributes);
  ::pthread_mutexattr_destroy(&attributes);
  check(error, "can't make a lock");
}

/// By who has got the mutex of a dead holder. Up to the last step the next would be told again.
void RobustMutex::note_death() {
  // A holder that had not gone on to its own work, or was done with it, has left all in order.
  const std::uint64_t holder = holder_.load(std::memory_order_relaxed);
  if (death_ == OwnerDeath::poison && holder != 0) {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    store(died_at_, std::chrono::nanoseconds(now).count());
    store(poison_, static_cast<std::uint32_t>(os::pid_of(holder)));
  }
  depth_ = 0;
  store(holder_, std::uint64_t{0}, std::memory_order_relaxed);
  about_to_store();
  ::pthread_mutex_consistent(&mutex_);
}

RobustMutex::Taken RobustMutex::take(Clock::time_point deadline) {
  const std::uint64_t self = os::own_thread();  // may allocate, so not with the mutex held
  const int error = ::pthread_mutex_trylock(&mutex_);
  if (error != 0 && !take_slowly(error, deadline)) return Taken::no;
  if (depth_++ == 0) store(holder_, self, std::memory_order_relaxed);
  return poison_.load(std::memory_order_relaxed) == 0 ? Taken::yes : Taken::poisoned;
}

bool RobustMutex::take_slowly(int error, Clock::time_point deadline) {
  if (error == EBUSY && deadline > Clock::now()) {
    // Most are held for less time than it takes to sleep and be woken.
    base::spin_until([&] {
      if (holder_.load(std::memory_order_relaxed) == 0) error = ::pthread_mutex_trylock(&mutex_);
      return error != EBUSY;
    });
    // Who releases the mutex, and who is woken by that, may be killed before the next is woken: in
    // spite of the kernel's care a sleeper has to look for itself.
    while (error == EBUSY || error == ETIMEDOUT) {
      const auto now = Clock::now();
      if (now >= deadline) break;
      const timespec until = to_timespec(std::min(deadline, now + look_interval));
      error = ::pthread_mutex_clocklock(&mutex_, CLOCK_MONOTONIC, &until);
    }
  }
  switch (error) {
    case 0: return true;
    case EOWNERDEAD: note_death(); return true;
    case EBUSY:
    case ETIMEDOUT: return false;
    case EDEADLK:
      if (deadline <= Clock::now()) return false;
      throw BadArgument("this thread holds the lock already, and would wait for itself: use RLock");
    default: throw SystemError("can't take a lock", error);
  }
}

void RobustMutex::release() {
  if (--depth_ == 0) store(holder_, std::uint64_t{0}, std::memory_order_relaxed);
  about_to_store();
  ::pthread_mutex_unlock(&mutex_);
}

bool RobustMutex::is_held() const {
  return holder_.load(std::memory_order_relaxed) == os::own_thread();
}

void RobustMutex::heal() { store(poison_, std::uint32_t{0}); }

OwnerDied RobustMutex::death() const {
  const auto pid = static_cast<int>(poison_.load(std::memory_order_relaxed));
  const std::chrono::nanoseconds since(died_at_.load(std::memory_order_relaxed));
  return {pid, std::chrono::system_clock::time_point(
                   std::chrono::duration_cast<std::chrono::system_clock::duration>(since))};
}

}  // namespace hoist::detail::multiprocess
