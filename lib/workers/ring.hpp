// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

namespace hoist::detail {

using Clock = std::chrono::steady_clock;

/// A word in shared memory that its one waiter sleeps on and everybody else rings.
struct alignas(64) Bell {
  std::atomic<std::uint32_t> count{0};
  std::atomic<std::uint32_t> sleepers{0};

  /// Wakes who sleeps on it; next to nothing where nobody does. Publish first, then ring.
  void ring() noexcept {
    std::atomic_thread_fence(std::memory_order_seq_cst);
    if (sleepers.load(std::memory_order_relaxed) != 0) wake();
  }
  void wake() noexcept;

  /// Returns true once `ready()` holds, false at `deadline`. Where that is expected `soon`, spins first for
  /// about the time that waking a sleeper takes, yielding the core. Everything `ready` looks at must be
  /// followed by a ring() where it changes.
  template <class Ready>
  bool wait(Clock::time_point deadline, Ready&& ready, bool soon = true) {
    if (ready()) return true;
    if (soon && spin(ready)) return true;
    for (;;) {
      const std::uint32_t seen = count.load(std::memory_order_acquire);
      sleepers.fetch_add(1, std::memory_order_relaxed);
      std::atomic_thread_fence(std::memory_order_seq_cst);
      const bool now = ready();
      if (!now) sleep(seen, deadline);
      sleepers.fetch_sub(1, std::memory_order_relaxed);
      if (now || ready()) return true;
      if (Clock::now() >= deadline) return false;
    }
  }

 private:
  static void pause() noexcept;
  static void yield() noexcept;
  void sleep(std::uint32_t seen, Clock::time_point deadline) noexcept;

  template <class Ready>
  bool spin(Ready& ready) {
    // A partner that answers at once does so within a microsecond. After that the core may be needed
    // by the very process waited for: yields let it run. Waking a sleeper costs 40 to 80 us on a
    // virtual machine, so that is how long sleeping is put off.
    for (int i = 0; i < 128; ++i) {
      pause();
      if (ready()) return true;
    }
    const auto until = Clock::now() + std::chrono::microseconds(60);
    do {
      yield();
      if (ready()) return true;
    } while (Clock::now() < until);
    return false;
  }
};

struct RingControl {
  alignas(64) std::atomic<std::uint64_t> head{0};  // bytes ever written
  alignas(64) std::atomic<std::uint64_t> tail{0};  // bytes ever read and released
};

/// One end of a single-producer, single-consumer queue of bytes in shared memory. The memory is mapped
/// twice in a row, so that no frame is ever split.
class RingWriter {
 public:
  RingWriter() = default;
  RingWriter(RingControl* control, std::byte* data, std::size_t capacity)
      : control_(control), data_(data), capacity_(capacity) {}

  /// `n` bytes to fill, or null while the reader hasn't released so many.
  std::byte* reserve(std::size_t n) {
    if (capacity_ - (head_ - tail_) < n) {
      tail_ = control_->tail.load(std::memory_order_acquire);
      if (capacity_ - (head_ - tail_) < n) return nullptr;
    }
    return data_ + head_ % capacity_;
  }
  /// Shows the reader `n` of the bytes reserved.
  void commit(std::size_t n) {
    head_ += n;
    control_->head.store(head_, std::memory_order_release);
  }
  /// Bytes ever committed.
  std::uint64_t head() const { return head_; }

 private:
  RingControl* control_ = nullptr;
  std::byte* data_ = nullptr;
  std::size_t capacity_ = 0;
  std::uint64_t head_ = 0;
  std::uint64_t tail_ = 0;
};

class RingReader {
 public:
  RingReader() = default;
  RingReader(RingControl* control, std::byte* data, std::size_t capacity)
      : control_(control), data_(data), capacity_(capacity) {}

  /// All bytes written and not yet released; more than the capacity is never there.
  std::span<const std::byte> peek() {
    const std::uint64_t head = control_->head.load(std::memory_order_acquire);
    const std::uint64_t n = head - tail_;
    return {data_ + tail_ % capacity_, n <= capacity_ ? n : 0};
  }
  bool empty() const { return control_->head.load(std::memory_order_acquire) == tail_; }
  /// Where all has been released: what a writer that is no more left behind its last commit.
  std::uint64_t head() const { return tail_; }
  std::byte* behind_head() const { return data_ + tail_ % capacity_; }
  void release(std::size_t n) {
    tail_ += n;
    control_->tail.store(tail_, std::memory_order_release);
  }

 private:
  RingControl* control_ = nullptr;
  std::byte* data_ = nullptr;
  std::size_t capacity_ = 0;
  std::uint64_t tail_ = 0;
};

}  // namespace hoist::detail
