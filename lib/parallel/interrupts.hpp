// SPDX-License-Identifier: BSD-3-Clause
#pragma once

namespace hoist::detail::parallel {

class LoopState;

/// As long as it lives, Ctrl-C interrupts the loop: the first such scope of a process takes over
/// SIGINT where that has its default action, the last one gives it back.
class Interruptible {
 public:
  /// The loop has its session until the end of this.
  explicit Interruptible(LoopState& loop);
  ~Interruptible();
  Interruptible(const Interruptible&) = delete;
  Interruptible& operator=(const Interruptible&) = delete;

 private:
  LoopState& loop_;
};

}  // namespace hoist::detail::parallel
