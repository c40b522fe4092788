// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/backend.hpp>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "workers/ring.hpp"

namespace hoist::detail {

/// What precedes each result in the stream from child to parent. Then come `segments` places, `meta`
/// bytes and the segments that are not in a memory file, whose descriptors come by a socket. An error is
/// its packed form, as `meta`.
struct ResultHeader {
  enum class Kind : std::uint32_t {
    value,
    error,
    unbegun,  ///< the rest of its batch, from `task` on, was not begun: somebody was idle
  };
  std::uint64_t task = 0;
  std::uint64_t meta = 0;
  std::uint32_t segments = 0;
  Kind kind = Kind::value;
  std::int64_t began = 0;  // Clock ticks
  double seconds = 0;
};

struct ResultPlace {
  std::uint64_t bytes = 0;
  std::uint64_t offset = 0;
  std::uint64_t number = 0;  // of the memory file; 0: in the stream
};

/// Memory that a forked child shares with its parent. Zero-filled pages are a valid one. Results live
/// here as soon as they are written, whatever becomes of the child afterwards.
struct ForkArea {
  static constexpr std::uint64_t none = ~std::uint64_t{0};
  static constexpr unsigned depth = 2;
  static constexpr std::size_t capacity = std::size_t{1} << 18;

  /// A batch. The parent may take it back as long as the child hasn't begun it.
  struct Command {
    enum : std::uint32_t { offered = 1, begun, taken_back };
    std::atomic<std::uint32_t> state{0};
    std::uint64_t first = 0;
    std::uint64_t last = 0;
  };

  // Parent to child: batches, or the word to leave.
  Bell child_bell;
  std::atomic<std::uint32_t> commands_written{0};
  std::atomic<std::uint32_t> commands_read{0};
  std::atomic<std::uint32_t> leave{0};
  std::atomic<bool> attention{false};
  Command commands[depth];

  // Child to parent: the task it is at (+ 1), since when, and how far it is in its batch.
  alignas(64) std::atomic<std::uint64_t> running{0};
  std::atomic<std::int64_t> began{0};
  /// The parent has to be woken to look here. The child that does so clears it.
  std::atomic<bool> parent_sleeps{false};

  // The stream of results.
  alignas(64) std::atomic<std::uint64_t> written{0};
  alignas(64) std::atomic<std::uint64_t> read{0};
  alignas(64) std::byte stream[capacity];
};

/// Copies out of the stream, which may wrap around.
inline void copy_from_stream(const ForkArea& area, std::uint64_t at, std::byte* to, std::size_t n) {
  const std::size_t offset = at % ForkArea::capacity;
  const std::size_t first = std::min(n, ForkArea::capacity - offset);
  std::copy_n(area.stream + offset, first, to);
  std::copy_n(area.stream, n - first, to + first);
}
inline void copy_to_stream(ForkArea& area, std::uint64_t at, const std::byte* from, std::size_t n) {
  const std::size_t offset = at % ForkArea::capacity;
  const std::size_t first = std::min(n, ForkArea::capacity - offset);
  std::copy_n(from, first, area.stream + offset);
  std::copy_n(from + first, n - first, area.stream);
}

/// What a forked child has of its parent's descriptors.
struct ForkEnds {
  int event = -1;   // wakes the parent
  int socket = -1;  // for descriptors
  int error = -1;   // becomes its stderr
};

/// The life of a forked child; never returns.
[[noreturn]] void run_forked_child(Loop& loop, ForkArea& area, ForkEnds ends, int parent);

}  // namespace hoist::detail
