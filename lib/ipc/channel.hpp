// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/decoder.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "ipc/ring.hpp"
#include "os/file.hpp"
#include "os/mapping.hpp"

// The shared memory and the frames between a process and one of its workers;
// docs/formats/channel.md has the layout byte by byte.

namespace hoist::detail::ipc {

inline constexpr std::uint32_t channel_version = 9;
inline constexpr std::size_t ring_bytes = std::size_t{256} << 10;
/// Longer frames travel in a memory file of their own, so that a few always fit into a ring.
inline constexpr std::size_t max_frame = ring_bytes / 4;

struct ChannelState {
  std::uint32_t version = channel_version;
  /// Which of the parent's bells the worker rings.
  std::atomic<std::uint32_t> parent_bell{0};
  RingControl tasks;
  RingControl results;
  Bell worker_bell;
  /// How many tasks the worker has begun; tells which one a dead worker ran.
  alignas(64) std::atomic<std::uint64_t> begun{0};
  /// Results in the frame that the worker is writing, behind all it has sent: they are not lost if
  /// it dies. Upper half: bytes sent / 8, so that it can't be taken for another frame's.
  std::atomic<std::uint64_t> unsent{0};
  /// The last task, as `begun` counts them, that the worker may begin before the frame `resume`. It
  /// looks after each store to `begun`, without a barrier: the parent makes one for both.
  std::atomic<std::uint64_t> last_to_begin{any_task};

  static constexpr std::uint64_t any_task = ~std::uint64_t{0};
  static constexpr std::uint64_t undecided = 0;  ///< the worker waits for another value
};

/// What `ChannelState::unsent` is for a frame behind `sent` bytes of others.
constexpr std::uint64_t unsent_results(std::uint64_t sent, std::uint32_t count) {
  return (sent / 8) << 32U | count;
}

enum class Kind : std::uint32_t {
  // to the worker
  module = 1,    // build-id, path
  function = 2,  // module, offset: gets the next number
  callable = 3,  // number, function that opens it, value
  forget_callable = 4,
  segment = 5,         // number, bytes; the descriptor comes by the socket
  forget_segment = 6,  // number
  tasks = 7,           // a batch
  initializer = 8,     // function, value
  leave = 9,
  context = 10,  // of the loop that the tasks to come are in
  place = 11,    // umask, working directory: of the caller when that loop started
  resume = 12,   // tasks up to here that were not begun were taken back
  // to the parent
  ready = 20,
  results = 21,       // of tasks in a row
  left = 22,          // the worker ends of its own accord: max_tasks, rss_limit
  error = 23,         // of the task whose result would be next
  unbegun = 24,       // the rest of a batch, from here on: somebody was idle
  dependencies = 25,  // cached functions that the tasks of the results to come have called
  resumed = 26,       // it has come to `resume`
  stopped = 27,       // begun: on another machine it begins no more tasks before `resume`
  initialized = 28,   // the initializer is done
  // both ways
  variables = 29,  // question; count; module, offset, size, digest of each
                   // back: question; numbers of those that differ
  large = 30,      // the frame comes in a memory file by the socket
};

/// What the sender of a frame of tasks wants to know of the time they take.
enum class Times : std::uint32_t { none, together, each };

/// The mark of a record of the ring.
struct FrameHeader {
  std::uint32_t bytes = 0;  // with this header
  Kind kind{};
};

/// Both ends' view of one channel's memory.
class ChannelMemory {
 public:
  ChannelMemory() = default;
  /// Makes the memory; `fd` is what the worker opens.
  static ChannelMemory create(os::Fd& fd);
  /// Likewise for a child to be forked, which sends but gets nothing by it. Takes no more memory
  /// than is used.
  static ChannelMemory create_for_child();
  static ChannelMemory open(int fd);

  ChannelState& state() const { return *reinterpret_cast<ChannelState*>(state_.data()); }
  /// Zero-filled bytes behind the state that are free for other use.
  std::span<std::byte> beside_state() const;
  std::byte* tasks() const { return tasks_.data(); }
  std::byte* results() const { return results_.data(); }

 private:
  explicit ChannelMemory(int fd);
  os::Mapping state_;
  os::Mapping tasks_;
  os::Mapping results_;
};

/// Reads little-endian fields of a frame; throws DamagedData where they end early.
class FieldReader {
 public:
  explicit FieldReader(std::span<const std::byte> bytes) : left_(bytes) {}
  template <class T>
  T get() {
    T value;
    std::memcpy(&value, take(sizeof value).data(), sizeof value);
    return value;
  }
  std::string text() {
    const auto bytes = take(get<std::uint32_t>());
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
  std::span<const std::byte> take(std::size_t n) {
    if (n > left_.size()) Decoder::throw_damaged();
    const auto taken = left_.first(n);
    left_ = left_.subspan(n);
    return taken;
  }
  std::span<const std::byte> left() const { return left_; }

 private:
  std::span<const std::byte> left_;
};

/// Gathers a frame.
class FieldWriter {
 public:
  void clear() { size_ = 0; }
  template <class T>
  void put(const T& value) {
    std::memcpy(room(sizeof value), &value, sizeof value);
  }
  void text(std::string_view text) {
    put(static_cast<std::uint32_t>(text.size()));
    append(text.data(), text.size());
  }
  void append(const void* data, std::size_t n) {
    if (n > 0) std::memcpy(room(n), data, n);
  }
  template <class T>
  void patch(std::size_t at, const T& value) {
    std::memcpy(bytes_.data() + at, &value, sizeof value);
  }
  void truncate(std::size_t size) { size_ = size; }
  std::size_t size() const { return size_; }
  std::span<const std::byte> bytes() const { return {bytes_.data(), size_}; }

 private:
  std::byte* room(std::size_t n) {
    if (bytes_.size() - size_ < n) grow(n);
    return bytes_.data() + std::exchange(size_, size_ + n);
  }
  void grow(std::size_t n);  // not in line: put() is called for each field

  std::vector<std::byte> bytes_;
  std::size_t size_ = 0;
};

/// The process-wide array of bells that parents sleep on, in memory that every worker maps.
class BellBoard {
 public:
  static constexpr std::size_t count = 256;
  /// The board of this process, made at the first call.
  static BellBoard& here();
  static BellBoard open(int fd);

  Bell& bell(std::size_t i) const { return reinterpret_cast<Bell*>(memory_.data())[i % count]; }
  int fd() const { return fd_.get(); }

 private:
  os::Fd fd_;
  os::Mapping memory_;
};

}  // namespace hoist::detail::ipc
