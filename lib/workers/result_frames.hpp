// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <span>

#include "workers/link.hpp"

namespace hoist::detail {

/// A worker's results on their way to the parent: many to a frame, written where the frame will be sent
/// from. A result is safe from the worker's death once it is added; the parent looks at it when the
/// frame is closed.
class ResultFrames {
 public:
  ResultFrames() = default;
  ResultFrames(Link& link, ChannelState& state) : link_(&link), state_(&state) {}

  /// The next result belongs to a task that begins now. Where not `timed`, frames tell no times.
  void start(bool timed);
  /// Adds a payload: its parts `head` and `meta`, in a row. False where it is too long for any frame: it
  /// is for the caller to send.
  bool add(std::span<const std::byte> head, std::span<const std::byte> meta);
  /// Sends the results added so far. They took the time since the last frame or start().
  void close();
  /// The beginning of the content of a frame that is sent now: when its tasks began, and how long they
  /// took. What comes next begins now.
  void put_times(FieldWriter& frame);
  /// The end of the latest task, as far as it is known.
  Clock::time_point now() const { return began_; }

 private:
  struct Head {
    std::int64_t began = 0;  // Clock's ticks
    std::int64_t took = 0;
    std::uint32_t count = 0;
    std::uint32_t zero = 0;
  };
  Head lap();

  Link* link_ = nullptr;
  ChannelState* state_ = nullptr;
  std::byte* content_ = nullptr;  // of the frame that is being written, if any
  std::size_t bytes_ = 0;
  std::uint32_t count_ = 0;
  bool timed_ = false;
  Clock::time_point began_;
};

}  // namespace hoist::detail
