// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <functional>
#include <memory>

namespace hoist::detail::base {

/// A function with a stack of its own, which takes turns with its caller. It serves two pieces of
/// code that each want to call the other: one of them runs in the coroutine, and both stay plain
/// recursive code on one thread. Users' code never runs inside.
///
/// A switch costs a system call; the stack takes as much memory as is used of it. For one thread.
class Coroutine {
 public:
  /// `body` begins with the first resume(). Throws SystemError if there is no memory for a stack.
  explicit Coroutine(std::function<void()> body);
  Coroutine(const Coroutine&) = delete;
  Coroutine& operator=(const Coroutine&) = delete;
  /// If `body` is suspended, unwinds it.
  ~Coroutine();

  /// Runs `body` until it suspends or ends. Passes on its exceptions.
  void resume();
  /// Called by `body`: returns when it is resumed.
  void suspend();
  /// Whether `body` has ended.
  bool done() const noexcept;
  /// Whether the caller is `body`.
  bool inside() const noexcept;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace hoist::detail::base
