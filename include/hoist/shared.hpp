// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/requirements.hpp>

#include <hoist/array.hpp>
#include <hoist/detail/locked_block.hpp>
#include <hoist/lock.hpp>
#include <hoist/shared_memory.hpp>

#include <atomic>
#include <cstddef>
#include <initializer_list>
#include <memory>
#include <new>
#include <span>
#include <type_traits>
#include <utility>

// State that threads and processes share, after Python's multiprocessing.Value and Array. Like
// locks (hoist/lock.hpp) these are handles: copies, and what tasks get of them, are the same
// memory, also through const handles. For blocks of bytes, with names or without, see
// hoist/shared_memory.hpp, which is included here.
//
// Elements are trivially copyable. Pointers in them mean nothing in another process, unless what
// they lead to was there before it was forked. Each object takes whole pages of memory and a
// descriptor.

namespace hoist {

/// What a SharedValue or SharedArray has besides its content.
struct SharedOptions {
  /// With a lock of its own. Without one, lock() is a BadArgument.
  bool lock = true;
  /// What that lock does after the death of a process that held it.
  OwnerDeath on_owner_death = OwnerDeath::poison;
};

/// The value of a SharedValue, whose lock is held as long as this lives. For the thread that made
/// it; references to the value must not outlive it.
template <class T>
class [[nodiscard]] LockedValue {
 public:
  LockedValue(RLock lock, T& value) : held_(std::move(lock)), value_(value) {}
  T& operator*() const noexcept { return value_; }
  T* operator->() const noexcept { return std::addressof(value_); }

 private:
  detail::LockHeld held_;
  T& value_;
};

/// The elements of a SharedArray, whose lock is held as long as this lives. For the thread that
/// made it; references and iterators must not outlive it.
template <class T>
class [[nodiscard]] LockedArray {
 public:
  LockedArray(RLock lock, std::span<T> elements) : held_(std::move(lock)), elements_(elements) {}
  /// Undefined for i >= size().
  T& operator[](std::size_t i) const noexcept { return elements_[i]; }
  std::size_t size() const noexcept { return elements_.size(); }
  T* data() const noexcept { return elements_.data(); }
  auto begin() const noexcept { return elements_.begin(); }
  auto end() const noexcept { return elements_.end(); }

 private:
  detail::LockHeld held_;
  std::span<T> elements_;
};

/// A value in shared memory, for any number of threads and processes at a time. Values of 1, 2, 4
/// or 8 bytes are read and written as a whole; for others get() and set() take the lock, and may
/// meet half of another's set() where there is none.
///
///     SharedValue<long> n(0);
///     n.fetch_add(1);                          // what std::atomic has
///     { auto locked = n.lock(); *locked *= 2; }  // keeps out others that lock, not fetch_add
template <detail::Shareable T>
class SharedValue : public detail::LockedBlock {
 public:
  /// Holds T(). Throws SystemError where there is no memory or no descriptor left. Cost: some
  /// system calls, 20 to 50 us.
  SharedValue() : SharedValue(T()) {}
  /// Likewise, with a copy of `value`.
  explicit SharedValue(const T& value, const SharedOptions& options = {})
      : LockedBlock(sizeof(T), options) {
    new (content()) T(value);
  }
  /// For tasks that get it.
  explicit SharedValue(detail::SharedBlock block) : LockedBlock(std::move(block)) {}

  /// A copy of the value. Throws OwnerDied, where it takes the lock, as lock() does. Cost: that of
  /// an atomic load, or of the lock.
  [[nodiscard]] T get() const {
    if constexpr (is_atomic) {
      return atomic().load();
    } else {
      return has_lock() ? *lock() : value();
    }
  }
  /// Replaces the value. Errors and cost as of get().
  void set(const T& value) const {
    if constexpr (is_atomic) {
      atomic().store(value);
    } else if (has_lock()) {
      *lock() = value;
    } else {
      this->value() = value;
    }
  }
  /// Waits for the lock and holds it; a thread may do so several times. Throws OwnerDied if another
  /// process died with the lock held (see LockHandle::recover), BadArgument if there is no lock. To
  /// wait no longer than some time: mutex().try_lock_for().
  LockedValue<T> lock() const { return {LockedBlock::lock(), value()}; }
  /// The lock itself. Throws BadArgument if there is none.
  [[nodiscard]] RLock mutex() const { return LockedBlock::lock(); }

  // For numbers that the processor handles at once (not long double): what std::atomic has, in the
  // same order of memory (sequentially consistent). They neither take the lock nor wait for it,
  // throw nothing, and cost what the atomic instruction costs.

  /// Replaces the value; returns the one before.
  T exchange(T desired) const
    requires detail::AtomicNumber<T>
  {
    return atomic().exchange(desired);
  }
  /// Sets it to `desired` and returns true if it is `expected`; else sets `expected` to what it is.
  bool compare_exchange(T& expected, T desired) const
    requires detail::AtomicNumber<T>
  {
    return atomic().compare_exchange_strong(expected, desired);
  }
  /// Adds or subtracts `n`; returns the value before. Integers wrap around.
  T fetch_add(T n) const
    requires detail::AtomicCounter<T>
  {
    return atomic().fetch_add(n);
  }
  T fetch_sub(T n) const
    requires detail::AtomicCounter<T>
  {
    return atomic().fetch_sub(n);
  }
  /// Combine the bits with those of `n`; return the value before.
  T fetch_and(T n) const
    requires detail::AtomicBits<T>
  {
    return atomic().fetch_and(n);
  }
  T fetch_or(T n) const
    requires detail::AtomicBits<T>
  {
    return atomic().fetch_or(n);
  }
  T fetch_xor(T n) const
    requires detail::AtomicBits<T>
  {
    return atomic().fetch_xor(n);
  }
  /// The operators return the value after.
  T operator+=(T n) const
    requires detail::AtomicCounter<T>
  {
    return atomic() += n;
  }
  T operator-=(T n) const
    requires detail::AtomicCounter<T>
  {
    return atomic() -= n;
  }
  T operator++() const
    requires detail::AtomicBits<T>
  {
    return atomic() += T(1);
  }
  T operator--() const
    requires detail::AtomicBits<T>
  {
    return atomic() -= T(1);
  }

 private:
  static constexpr bool is_atomic = detail::is_whole<T>();
  T& value() const { return *std::launder(reinterpret_cast<T*>(content())); }
  std::atomic_ref<T> atomic() const { return std::atomic_ref<T>(value()); }
};

/// A one-dimensional array in shared memory with a lock, of a size that stays. For one without a
/// lock, or of more dimensions, see Array::shared. Access to elements outside of lock() is for the
/// program to synchronise.
///
///     SharedArray<double> sums(10);
///     { auto locked = sums.lock(); locked[3] += x; }
template <detail::Shareable T>
class SharedArray : public detail::LockedBlock {
 public:
  /// Without elements.
  SharedArray() : SharedArray(0) {}
  /// Of `n` elements T(); braces hold elements, as a vector's do. Throws SystemError where there is
  /// no memory or no descriptor left, BadArgument for more bytes than there can be.
  explicit SharedArray(std::size_t n, const SharedOptions& options = {})
      : LockedBlock(detail::checked_elements({n}, sizeof(T)) * sizeof(T), options) {
    std::uninitialized_fill_n(data(), n, T());
  }
  /// Of copies of these. Throws SystemError likewise.
  explicit SharedArray(std::span<const T> values, const SharedOptions& options = {})
      : LockedBlock(values.size_bytes(), options) {
    std::uninitialized_copy(values.begin(), values.end(), data());
  }
  SharedArray(std::initializer_list<T> values, const SharedOptions& options = {})
      : SharedArray(std::span<const T>(values.begin(), values.size()), options) {}
  /// For tasks that get it.
  explicit SharedArray(detail::SharedBlock block) : LockedBlock(std::move(block)) {}

  /// Without the lock. Undefined for i >= size(); valid as long as a handle to them.
  [[nodiscard]] std::size_t size() const noexcept { return content_bytes() / sizeof(T); }
  [[nodiscard]] T* data() const noexcept { return reinterpret_cast<T*>(content()); }
  T& operator[](std::size_t i) const noexcept { return data()[i]; }
  T* begin() const noexcept { return data(); }
  T* end() const noexcept { return data() + size(); }
  explicit operator std::span<T>() const noexcept { return {data(), size()}; }

  /// Waits for the lock and holds it; a thread may do so several times. Throws OwnerDied if another
  /// process died with the lock held (see LockHandle::recover), BadArgument if there is no lock. To
  /// wait no longer than some time: mutex().try_lock_for().
  LockedArray<T> lock() const { return {LockedBlock::lock(), std::span<T>(*this)}; }
  /// The lock itself. Throws BadArgument if there is none.
  [[nodiscard]] RLock mutex() const { return LockedBlock::lock(); }
};

}  // namespace hoist
