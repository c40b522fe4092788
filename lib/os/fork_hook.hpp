// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <utility>

namespace hoist::detail::os {

/// How often this process has forked since it had the first of these hooks.
std::uint64_t fork_count() noexcept;

/// Holds a mutex while any thread of the process forks, so that the child finds what the mutex
/// protects in order; then, in the child, calls `in_child` before the mutex is released.
///
/// Declare it as the last member of the mutex's owner: then no fork meets an owner that is only
/// partly constructed or destroyed. The mutexes of several hooks may nest in any order. A thread
/// that holds one of these mutexes must not make or destroy hooks.
///
/// Not for std::shared_mutex: glibc knows its writer by a thread id, which is another in the child,
/// so that the child could not release it.
class ForkHook {
 public:
  template <class Mutex>
  explicit ForkHook(Mutex& mutex, std::function<void()> in_child = {}) {
    add(entry_of(this, mutex, std::move(in_child)));
  }
  ForkHook(const ForkHook&) = delete;
  ForkHook& operator=(const ForkHook&) = delete;
  ~ForkHook() { remove(this); }

  /// The same for a mutex that is never destroyed. Does nothing the second time.
  template <class Mutex>
  static void keep(Mutex& mutex, std::function<void()> in_child = {}) {
    add(entry_of(nullptr, mutex, std::move(in_child)));
  }

  /// Calls `action` in each forked child when all hooks have been there and the mutexes are free.
  /// For a process that has hooks.
  static void at_last(void (*action)());

  /// What is done for one mutex.
  struct Entry {
    const ForkHook* owner;  // null: kept for ever
    void* mutex;
    void (*lock)(void*);
    bool (*try_lock)(void*);
    void (*unlock)(void*);
    std::function<void()> in_child;
  };

 private:
  template <class Mutex>
  static Entry entry_of(const ForkHook* owner, Mutex& mutex, std::function<void()> in_child) {
    static_assert(!requires { mutex.lock_shared(); });
    return {owner,
            &mutex,
            [](void* it) { static_cast<Mutex*>(it)->lock(); },
            [](void* it) { return static_cast<Mutex*>(it)->try_lock(); },
            [](void* it) { static_cast<Mutex*>(it)->unlock(); },
            std::move(in_child)};
  }
  static void add(Entry entry);
  static void remove(const ForkHook* owner);
};

/// One T per process, made at first use and never destroyed; a forked child makes its own. A
/// variable of static storage duration may be used before and after main().
template <class T>
class PerProcess {
 public:
  constexpr PerProcess() = default;

  T& here() {
    return here([] { return new T; });
  }
  template <class Make>
  T& here(const Make& make) {
    if (T* known = find()) return *known;
    // Before the mutex is first locked, so that no child inherits it from a thread it doesn't have.
    // Then no more, since callers in a forked child may hold the mutex of another hook.
    if (!is_kept_.load(std::memory_order_acquire)) {
      ForkHook::keep(mutex_, [this] { instance_.store(nullptr, std::memory_order_relaxed); });
      is_kept_.store(true, std::memory_order_release);
    }
    const std::lock_guard lock(mutex_);
    if (T* known = find()) return *known;
    T* const made = make();
    instance_.store(made, std::memory_order_release);
    return *made;
  }
  /// Null where none was made yet. Async-signal-safe.
  T* find() const noexcept { return instance_.load(std::memory_order_acquire); }

 private:
  std::atomic<T*> instance_{nullptr};
  std::atomic<bool> is_kept_{false};
  std::mutex mutex_;
};

}  // namespace hoist::detail::os
