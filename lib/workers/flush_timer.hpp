// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <chrono>

#include "ipc/channel.hpp"

namespace hoist::detail::workers {

/// Decides when a worker sends the results it has, during a batch that begins now: soon where
/// somebody waits for each of them, else only where tasks take long, since the end of a batch sends
/// them anyway.
class FlushTimer {
 public:
  FlushTimer(bool each, ipc::Clock::time_point now)
      : patience_(each ? std::chrono::microseconds(200) : std::chrono::microseconds(4000)),
        looked_(now),
        sent_(now) {}

  /// Called when a task has ended. Returns whether to send now.
  bool due() {
    if (++unwatched_ < stride_) return false;
    const ipc::Clock::time_point now = ipc::Clock::now();
    const ipc::Clock::duration since = std::max(now - looked_, ipc::Clock::duration(1));
    stride_ = std::clamp<ipc::Clock::rep>(
        stride_ * ipc::Clock::duration(look_every).count() / since.count(), 1, most_unwatched);
    looked_ = now;
    unwatched_ = 0;
    if (now - sent_ <= patience_) return false;
    sent_ = now;
    return true;
  }

 private:
  /// How often to read the clock, and the most tasks in between: any of them may take long.
  static constexpr auto look_every = std::chrono::microseconds(50);
  static constexpr ipc::Clock::rep most_unwatched = 32;

  ipc::Clock::duration patience_;
  ipc::Clock::time_point looked_;
  ipc::Clock::time_point sent_;
  ipc::Clock::rep stride_ = 1;
  ipc::Clock::rep unwatched_ = 0;
};

}  // namespace hoist::detail::workers
