// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <chrono>

#include "ipc/channel.hpp"

namespace hoist::detail {

/// Decides in a worker, during a batch that begins now, when to tell its parent of results: soon where
/// somebody waits for each of them, else only of what takes long, since the end of the batch tells all.
class TellTimer {
 public:
  TellTimer(bool each, Clock::time_point now)
      : patience_(each ? std::chrono::microseconds(200) : std::chrono::microseconds(4000)),
        looked_(now),
        told_(now) {}

  /// A task is over. True where the parent is to be told now.
  bool due() {
    if (++unwatched_ < stride_) return false;
    const Clock::time_point now = Clock::now();
    const Clock::duration since = std::max(now - looked_, Clock::duration(1));
    stride_ = std::clamp<Clock::rep>(stride_ * Clock::duration(look_every).count() / since.count(),
                                     1, most_unwatched);
    looked_ = now;
    unwatched_ = 0;
    if (now - told_ <= patience_) return false;
    told_ = now;
    return true;
  }

 private:
  /// How often to look at the clock, and the most tasks between two looks: any may turn out long.
  static constexpr auto look_every = std::chrono::microseconds(50);
  static constexpr Clock::rep most_unwatched = 32;

  Clock::duration patience_;
  Clock::time_point looked_;
  Clock::time_point told_;
  Clock::rep stride_ = 1;
  Clock::rep unwatched_ = 0;
};

}  // namespace hoist::detail
