// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <chrono>

#include "ipc/channel.hpp"

namespace hoist::detail::workers {

/// Decides in a worker, during a batch that begins now, when to tell its parent of results: soon
/// where somebody waits for each of them, else only of what takes long, since the end of the batch
/// tells all.
class TellTimer {
 public:
  TellTimer(bool each, ipc::Clock::time_point now)
      : patience_(each ? std::chrono::microseconds(200) : std::chrono::microseconds(4000)),
        looked_(now),
        told_(now) {}

  /// A task is over. True where the parent is to be told now.
  bool due() {
    if (++unwatched_ < stride_) return false;
    const ipc::Clock::time_point now = ipc::Clock::now();
    const ipc::Clock::duration since = std::max(now - looked_, ipc::Clock::duration(1));
    stride_ = std::clamp<ipc::Clock::rep>(
        stride_ * ipc::Clock::duration(look_every).count() / since.count(), 1, most_unwatched);
    looked_ = now;
    unwatched_ = 0;
    if (now - told_ <= patience_) return false;
    told_ = now;
    return true;
  }

 private:
  /// How often to look at the clock, and the most tasks between two looks: any may turn out long.
  static constexpr auto look_every = std::chrono::microseconds(50);
  static constexpr ipc::Clock::rep most_unwatched = 32;

  ipc::Clock::duration patience_;
  ipc::Clock::time_point looked_;
  ipc::Clock::time_point told_;
  ipc::Clock::rep stride_ = 1;
  ipc::Clock::rep unwatched_ = 0;
};

}  // namespace hoist::detail::workers
