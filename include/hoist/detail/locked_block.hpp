// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/shared_handle.hpp>
#include <hoist/lock.hpp>

#include <atomic>
#include <concepts>
#include <cstddef>
#include <type_traits>
#include <utility>

namespace hoist {

struct SharedOptions;

namespace detail {

/// A block that begins with a lock, if it has one, and goes on with objects of the program.
class LockedBlock : public SharedHandle {
 public:
  explicit LockedBlock(SharedBlock block) : SharedHandle(std::move(block)) {}
  LockedBlock(std::size_t bytes, const SharedOptions& options);

  std::byte* content() const noexcept { return block().data() + header; }
  std::size_t content_bytes() const noexcept { return block().bytes() - header; }
  bool has_lock() const;
  /// Throws BadArgument where there is none.
  RLock lock() const;

 private:
  static constexpr std::size_t header = 128;
};

/// What shared memory can hold: no pointer of one process means anything in another, which the
/// compiler can't tell beyond this.
template <class T>
concept Shareable = std::is_trivially_copyable_v<T> && std::is_default_constructible_v<T> &&
                    !std::is_const_v<T> && !std::is_pointer_v<T> && alignof(T) <= 128;

/// Whether the processor reads and writes a T at once.
template <class T>
constexpr bool is_whole() {
  if constexpr (sizeof(T) == 1 || sizeof(T) == 2 || sizeof(T) == 4 || sizeof(T) == 8) {
    return std::atomic_ref<T>::is_always_lock_free;
  } else {
    return false;
  }
}

template <class T>
concept AtomicNumber = std::is_arithmetic_v<T> && is_whole<T>();
template <class T>
concept AtomicCounter = AtomicNumber<T> && !std::same_as<T, bool>;
template <class T>
concept AtomicBits = AtomicCounter<T> && std::integral<T>;

/// Holds a lock as long as it lives; a forked child's copy releases nothing.
class LockHeld {
 public:
  explicit LockHeld(RLock lock) : lock_(std::move(lock)) { lock_.lock(); }
  LockHeld(const LockHeld&) = delete;
  LockHeld& operator=(const LockHeld&) = delete;
  ~LockHeld() {
    if (lock_.held()) lock_.unlock();
  }

 private:
  RLock lock_;
};

}  // namespace detail

}  // namespace hoist
