// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "os/bell.hpp"

namespace hoist::detail::ipc {

using Clock = std::chrono::steady_clock;
using os::Bell;

struct RingControl {
  alignas(64) std::atomic<std::uint64_t> released{0};  // bytes that the reader is done with
};

/// A single-producer, single-consumer queue of records in shared memory, zero-filled at the start
/// and mapped twice in a row, so that no record is ever split. Each takes a multiple of `grain`
/// bytes and begins with its mark, of 8 bytes. A record is there when its mark isn't 0: the reader
/// looks at the record itself, not at a position beside it, so that a short one reaches it with a
/// single line of the cache (as in J. Giacomoni et al., FastForward for efficient pipeline
/// parallelism, PPoPP 2008).
class Ring {
 public:
  static constexpr std::size_t grain = 64;

  Ring() = default;
  /// `capacity` is a power of two.
  Ring(RingControl* control, std::byte* data, std::size_t capacity)
      : control_(control), data_(data), capacity_(capacity) {}

  /// Bytes of all records before the one at hand.
  std::uint64_t position() const { return position_; }
  std::byte* record() const { return data_ + (position_ & (capacity_ - 1)); }

 protected:
  std::atomic_ref<std::uint64_t> mark() const {
    return std::atomic_ref(*reinterpret_cast<std::uint64_t*>(record()));
  }

  RingControl* control_ = nullptr;
  std::byte* data_ = nullptr;
  std::size_t capacity_ = 0;
  std::uint64_t position_ = 0;
};

class RingWriter : public Ring {
 public:
  using Ring::Ring;

  /// The next record, for at most `n` bytes, or null while the reader hasn't released so many.
  std::byte* reserve(std::size_t n) {
    n += grain;  // the mark behind it
    if (room() < n) {
      released_ = control_->released.load(std::memory_order_acquire);
      if (room() < n) return nullptr;
    }
    return record();
  }
  /// Shows the reader the record reserved, of `n` bytes.
  void commit(std::size_t n, std::uint64_t mark_of_it) {
    const auto its = mark();
    position_ += n;
    if (zeros_until_ <= position_) write_zeros();
    its.store(mark_of_it, std::memory_order_release);
  }

 private:
  std::size_t room() const { return capacity_ - (position_ - released_); }
  /// Marks to come, in advance: the line of one may be with the reader, and to get it for each
  /// record anew would keep the record waiting.
  void write_zeros() {
    const std::size_t n = std::min(room(), std::size_t{4096});
    std::memset(record(), 0, n);
    zeros_until_ = position_ + n;
  }

  std::uint64_t released_ = 0;
  std::uint64_t zeros_until_ = 0;
};

class RingReader : public Ring {
 public:
  using Ring::Ring;

  /// The mark of the next record; 0 where there is none.
  std::uint64_t peek() const { return mark().load(std::memory_order_acquire); }
  bool empty() const { return peek() == 0; }
  /// Goes on to what comes behind a record of `n` bytes.
  void release(std::size_t n) {
    position_ += n;
    control_->released.store(position_, std::memory_order_release);
  }
};

}  // namespace hoist::detail::ipc
