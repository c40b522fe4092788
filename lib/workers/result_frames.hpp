// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/encoder.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "ipc/link.hpp"

namespace hoist::detail::workers {

/// Gathers a worker's results into frames for the parent. Results are written into the ring itself:
/// one that was added reaches the parent even if the worker dies; the parent sees it when the frame
/// is closed.
class ResultFrames {
 public:
  ResultFrames() = default;
  ResultFrames(ipc::Link& link, ipc::ChannelState& state) : link_(&link), state_(&state) {}

  /// The next result belongs to a task that begins now. Where not `timed`, frames tell no times.
  void start(bool timed);
  /// Adds a result, whose blocks of `shared_from` bytes and more travel in memory files. What
  /// doesn't fit into a frame with others is sent at once, and the encoder cleared. False where the
  /// parent is gone.
  bool add(Encoder& result, std::size_t shared_from);
  /// Sends the error of a task, and wakes the parent: it may end the loop. False where that is
  /// gone.
  bool add_error(std::span<const std::byte> packed);
  /// Sends the results added so far. They took the time since the last frame or start().
  void close();
  /// The end of the latest task, as far as it is known.
  ipc::Clock::time_point now() const { return began_; }

 private:
  struct Head {
    std::int64_t began = 0;  // Clock's ticks
    std::int64_t took = 0;
    std::uint32_t count = 0;
    std::uint32_t zero = 0;
  };
  /// Sends on what cached functions the latest task depends, if anything was added.
  bool send_dependencies();
  ipc::Clock::duration lap();
  void put_times(ipc::FieldWriter& frame);
  bool add(std::span<const std::byte> head, std::span<const std::byte> meta);
  bool send(ipc::Kind kind, std::span<const std::byte> content, int fd = -1);

  ipc::Link* link_ = nullptr;
  ipc::ChannelState* state_ = nullptr;
  std::byte* content_ = nullptr;  // of the frame that is being written, if any
  std::size_t bytes_ = 0;
  std::uint32_t count_ = 0;
  bool timed_ = false;
  ipc::Clock::time_point began_;
  ipc::FieldWriter payload_;
};

/// The content of the frame that a worker is writing, when nothing is left to receive from it:
/// empty, or results. It may add more behind them, if it isn't dead, and then send them all. A
/// copy, as it may complete the frame at any moment.
std::vector<std::byte> take_unsent(ipc::Link& link, ipc::ChannelState& state);

}  // namespace hoist::detail::workers
