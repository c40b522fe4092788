// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/requirements.hpp>

#include <hoist/array.hpp>
#include <hoist/detail/shared_handle.hpp>
#include <hoist/lock.hpp>
#include <hoist/shared_memory.hpp>

#include <atomic>
#include <concepts>
#include <cstddef>
#include <initializer_list>
#include <memory>
#include <new>
#include <span>
#include <type_traits>
#include <utility>

// State that threads and processes share. Like locks (hoist/lock.hpp) these are handles: copies,
// and what tasks get of them, are the same memory. For blocks of bytes, with names or without, see
// hoist/shared_memory.hpp, which is included here.

namespace hoist {

struct SharedOptions {
  /// With a lock of its own. Without one, lock() is a BadArgument.
  bool lock = true;
  /// What that lock does after the death of a process that held it.
  OwnerDeath on_owner_death = OwnerDeath::poison;
};

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

/// The value of a SharedValue, whose lock is held as long as this lives.
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

/// The elements of a SharedArray, whose lock is held as long as this lives.
template <class T>
class [[nodiscard]] LockedArray {
 public:
  LockedArray(RLock lock, std::span<T> elements) : held_(std::move(lock)), elements_(elements) {}
  T& operator[](std::size_t i) const noexcept { return elements_[i]; }
  std::size_t size() const noexcept { return elements_.size(); }
  T* data() const noexcept { return elements_.data(); }
  auto begin() const noexcept { return elements_.begin(); }
  auto end() const noexcept { return elements_.end(); }

 private:
  detail::LockHeld held_;
  std::span<T> elements_;
};

/// A value in shared memory. Values of 1, 2, 4 or 8 bytes are read and written as a whole; for
/// others get() and set() take the lock, and may meet half of another's set() where there is none.
///
///     SharedValue<long> n(0);
///     n.fetch_add(1);                          // what std::atomic has
///     { auto locked = n.lock(); *locked *= 2; }  // keeps out others that lock, not fetch_add
template <detail::Shareable T>
class SharedValue : public detail::LockedBlock {
 public:
  /// Throws SystemError where there is no memory or no descriptor left.
  SharedValue() : SharedValue(T()) {}
  explicit SharedValue(const T& value, const SharedOptions& options = {})
      : LockedBlock(sizeof(T), options) {
    new (content()) T(value);
  }
  explicit SharedValue(detail::SharedBlock block) : LockedBlock(std::move(block)) {}

  /// Throws OwnerDied, where it takes the lock, as lock() does; so does set().
  [[nodiscard]] T get() const {
    if constexpr (is_atomic) {
      return atomic().load();
    } else {
      return has_lock() ? *lock() : value();
    }
  }
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
  /// process died with the lock held: see mutex().recover().
  LockedValue<T> lock() const { return {LockedBlock::lock(), value()}; }
  /// The lock itself. Throws BadArgument if there is none.
  [[nodiscard]] RLock mutex() const { return LockedBlock::lock(); }

  T exchange(T desired) const
    requires detail::AtomicNumber<T>
  {
    return atomic().exchange(desired);
  }
  /// Sets it to `desired` if it is `expected`; else sets `expected` to what it is.
  bool compare_exchange(T& expected, T desired) const
    requires detail::AtomicNumber<T>
  {
    return atomic().compare_exchange_strong(expected, desired);
  }
  /// These return the value before, as std::atomic's do; the operators return the one after.
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

/// A one-dimensional array in shared memory with a lock. For one without, or of more dimensions,
/// see Array::shared.
template <detail::Shareable T>
class SharedArray : public detail::LockedBlock {
 public:
  /// Of `n` elements T(); braces hold elements, as a vector's do. Throws SystemError where there is
  /// no memory or no descriptor left.
  SharedArray() : SharedArray(0) {}
  explicit SharedArray(std::size_t n, const SharedOptions& options = {})
      : LockedBlock(detail::checked_elements({n}, sizeof(T)) * sizeof(T), options) {
    std::uninitialized_fill_n(data(), n, T());
  }
  /// Of copies of these.
  explicit SharedArray(std::span<const T> values, const SharedOptions& options = {})
      : LockedBlock(values.size_bytes(), options) {
    std::uninitialized_copy(values.begin(), values.end(), data());
  }
  SharedArray(std::initializer_list<T> values, const SharedOptions& options = {})
      : SharedArray(std::span<const T>(values.begin(), values.size()), options) {}
  explicit SharedArray(detail::SharedBlock block) : LockedBlock(std::move(block)) {}

  [[nodiscard]] std::size_t size() const noexcept { return content_bytes() / sizeof(T); }
  [[nodiscard]] T* data() const noexcept { return reinterpret_cast<T*>(content()); }
  T& operator[](std::size_t i) const noexcept { return data()[i]; }
  T* begin() const noexcept { return data(); }
  T* end() const noexcept { return data() + size(); }
  /// The elements without the lock. Valid as long as a handle to them.
  explicit operator std::span<T>() const noexcept { return {data(), size()}; }

  /// Waits for the lock and holds it; a thread may do so several times. Throws OwnerDied if another
  /// process died with the lock held: see mutex().recover().
  LockedArray<T> lock() const { return {LockedBlock::lock(), std::span<T>(*this)}; }
  /// The lock itself. Throws BadArgument if there is none.
  [[nodiscard]] RLock mutex() const { return LockedBlock::lock(); }
};

}  // namespace hoist
