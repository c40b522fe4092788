// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/storage.hpp>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "multiprocess/robust_mutex.hpp"

namespace hoist::detail::multiprocess {

using Bytes = std::span<const std::byte>;

/// Where the next record is written or read, in units of `grain`, and how many messages came
/// before: one word, so that a single store changes both.
struct Place {
  std::uint32_t grain = 0;
  std::uint32_t count = 0;

  bool operator==(const Place&) const = default;
};

/// A queue of messages in shared memory, written and read by any number of processes, each of which
/// may be killed between any two stores.
///
/// The memory is divided into chunks, which form a chain from the one that is read to the one that
/// is written; the others are free. Within a chunk records follow each other. Each begins with a
/// mark of 8 bytes, which is 0 as long as the record isn't there: the store of the mark is what
/// sends a record, and the store of `head` what takes it. `tail` follows the marks, so it needs no
/// care: a writer that finds `writing` set looks for itself where the marks end. A message that is
/// larger than a chunk is a series of records, whose reader begins before its writer ends.
/// docs/formats/shared_memory.md has the layout.
struct MessageRing {
  static constexpr std::size_t grain = 16;
  static constexpr std::size_t min_chunk = std::size_t{64} << 10;
  static constexpr std::size_t max_chunks = 4096;

  /// `max_messages`: 0 for no such limit. `max_bytes` is rounded up to whole chunks, two at least.
  MessageRing(std::size_t max_messages, std::size_t max_bytes);

  static std::size_t chunk_for(std::size_t max_bytes);
  static std::size_t chunks_for(std::size_t max_bytes);

  const std::uint32_t chunk_bytes;
  const std::uint32_t chunks;
  const std::uint32_t max_messages;

  // Of who writes. All but `tail` and `streaming` only with the mutex held.
  alignas(64) RobustMutex write_mutex{false, OwnerDeath::recover};
  std::atomic<Place> tail{Place{}};
  /// A message of several records is being written, from there on.
  std::atomic<std::uint32_t> streaming{0};
  std::atomic<Place> stream_start{Place{}};
  /// Some of it has been read.
  std::atomic<std::uint32_t> stream_read{0};
  /// A writer is at work; if it is not the one that holds the mutex, it has died.
  std::atomic<std::uint32_t> writing{0};
  /// Memory of the tail's chunk is zero from the tail up to here.
  std::uint32_t zeros_until = 0;
  Place head_seen;
  std::uint32_t reserved_chunks = 0;

  // Of who reads.
  alignas(64) RobustMutex read_mutex{false, OwnerDeath::recover};
  std::atomic<Place> head{Place{}};

  os::Bell filled;                                            // rung when a record was written
  os::Bell freed;                                             // and when one was read
  std::array<std::atomic<std::uint16_t>, max_chunks> next{};  // chunk in the chain
};

/// A MessageRing, and what it needs in this process.
struct RingView {
  MessageRing& ring;
  std::byte* data;         // the first chunk
  const Storage& storage;  // whose, and the ring's

  std::byte* at(std::uint32_t place) const {
    return data + std::size_t{place} * MessageRing::grain;
  }
  std::atomic_ref<std::uint64_t> mark(std::uint32_t place) const {
    return std::atomic_ref(*reinterpret_cast<std::uint64_t*>(at(place)));
  }
  std::uint32_t chunk_of(std::uint32_t place) const {
    return static_cast<std::uint32_t>(place * std::uint64_t{MessageRing::grain} / ring.chunk_bytes);
  }
  std::uint32_t begin_of(std::uint32_t chunk) const {
    return static_cast<std::uint32_t>(std::uint64_t{chunk} * ring.chunk_bytes / MessageRing::grain);
  }
  /// Sets aside the memory of the chunks from one number up to another. Throws SystemError.
  void reserve(std::uint32_t from, std::uint32_t to) const;
  /// Whether a record can be read.
  bool has_record() const {
    return mark(ring.head.load(std::memory_order_acquire).grain).load(std::memory_order_acquire) !=
           0;
  }
  /// Whether a message is so large that it is written only while somebody reads it.
  bool is_outgrown_by(std::uint64_t bytes) const;
  /// Messages that wait, as far as can be told without a lock.
  std::size_t size() const;
};

/// The right to write, as long as this lives.
class WriteTurn {
 public:
  /// Waits for it until the deadline. Puts in order what a writer left that died.
  WriteTurn(const RingView& view, Clock::time_point deadline);
  WriteTurn(const WriteTurn&) = delete;
  WriteTurn& operator=(const WriteTurn&) = delete;
  ~WriteTurn();

  explicit operator bool() const { return taken_; }
  /// Whether there is room for a message of so many bytes: it will be written without waiting,
  /// unless it is larger than the whole ring. If there is none, `seen` becomes what there was of
  /// the reader.
  bool has_room(std::uint64_t bytes, Place& seen);
  /// Writes a message for which there is room. False where it could not be completed, in time or
  /// before there was nobody for it: `is_off()`; then nothing was sent. Throws SystemError where
  /// there is no memory. `look()` looks for deaths while it waits.
  bool write(std::span<const Bytes> pieces, Clock::time_point deadline,
             const std::function<bool()>& is_off, const std::function<void()>& look);

 private:
  void repair();
  void withdraw();
  std::size_t room_in_chunk() const;
  std::vector<bool> used_chunks();
  bool append(std::uint32_t flags, std::span<const Bytes> pieces, std::uint64_t from,
              std::size_t bytes);
  std::uint32_t take_chunk();

  const RingView view_;
  MessageRing& ring_;
  bool taken_;
};

/// The right to read, as long as this lives.
class ReadTurn {
 public:
  ReadTurn(const RingView& view, Clock::time_point deadline);
  ReadTurn(const ReadTurn&) = delete;
  ReadTurn& operator=(const ReadTurn&) = delete;
  ~ReadTurn();

  explicit operator bool() const { return taken_; }
  /// Goes to the next message; false if there is none.
  bool begin();
  /// Bytes of the message.
  std::uint64_t size() const { return size_; }
  /// Its next bytes, which must not be more than it has. False if its writer has given it up or
  /// died: there is no message.
  bool read(void* to, std::size_t bytes);
  /// Lets go of a message that was begun, whatever was read of it.
  void drop();
  /// Takes the message, which was read.
  void take();

 private:
  void skip(std::size_t bytes) {
    from_ += bytes;
    left_ -= bytes;
  }
  void release();
  void enter(std::uint64_t mark);
  bool next_record();

  const RingView view_;
  MessageRing& ring_;
  bool taken_;
  Place place_;             // of the record at hand
  std::uint64_t mark_ = 0;  // its
  const std::byte* from_ = nullptr;
  std::size_t left_ = 0;  // bytes of the record that were not read
  std::uint64_t size_ = 0;
};

}  // namespace hoist::detail::multiprocess
