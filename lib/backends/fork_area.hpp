// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/backend.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "ipc/channel.hpp"

namespace hoist::detail::backends {

/// What a forked child shares with its parent, beside the state of the channel by which results
/// come.
struct ForkArea {
  static constexpr std::uint64_t none = ~std::uint64_t{0};
  static constexpr unsigned depth = 2;

  /// A batch. The parent may take it back as long as the child hasn't begun it.
  struct Command {
    enum : std::uint32_t { offered = 1, begun, taken_back };
    std::atomic<std::uint32_t> state{0};
    std::uint64_t first = 0;
    std::uint64_t last = 0;
    std::uint32_t attempt = 1;
  };

  // Parent to child: batches, or the request to exit. The channel's bell is rung.
  std::atomic<std::uint32_t> commands_written{0};
  std::atomic<std::uint32_t> commands_read{0};
  std::atomic<std::uint32_t> exit_requested{0};
  std::atomic<bool> attention{false};
  Command commands[depth];

  // Child to parent: the task that it runs (+ 1; 0: none), and since when.
  alignas(64) std::atomic<std::uint64_t> running{0};
  std::atomic<std::int64_t> began{0};
  /// The parent sleeps and must be woken when there is news. The child that wakes it clears this.
  std::atomic<bool> parent_sleeps{false};
};
static_assert(sizeof(ForkArea) + sizeof(ipc::ChannelState) <= 2048, "they are to share a page");

/// What a forked child has of its parent's descriptors.
struct ForkEnds {
  int event = -1;   // wakes the parent
  int socket = -1;  // the channel's, for descriptors
  int error = -1;   // becomes its stderr
};

/// The life of a forked child; never returns. Nor does it throw: an exception would run the program
/// of the parent once more, in the child.
[[noreturn]] void run_forked_child(Loop& loop, ForkArea& area, const ipc::ChannelMemory& channel,
                                   ForkEnds ends, int parent, unsigned number) noexcept;

}  // namespace hoist::detail::backends
