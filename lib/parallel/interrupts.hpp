// SPDX-License-Identifier: BSD-3-Clause
#pragma once

namespace hoist::detail::parallel {

class LoopState;

/// While it exists, Ctrl-C interrupts the loop. The first such object of a process takes over
/// SIGINT if that has its default action, the last one restores it.
class Interruptible {
 public:
  /// The loop must keep its session while this object exists.
  explicit Interruptible(LoopState& loop);
  ~Interruptible();
  Interruptible(const Interruptible&) = delete;
  Interruptible& operator=(const Interruptible&) = delete;

 private:
  LoopState& loop_;
};

}  // namespace hoist::detail::parallel
