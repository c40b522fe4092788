// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <csignal>
#include <functional>

namespace hoist::detail::os {

/// Blocks all signals in the calling thread, for a scope. Threads and processes that are started in
/// it inherit this.
class BlockSignals {
 public:
  BlockSignals();
  ~BlockSignals();
  BlockSignals(const BlockSignals&) = delete;
  BlockSignals& operator=(const BlockSignals&) = delete;

 private:
  sigset_t before_;
};

/// Starts a thread that may run until the process ends. It blocks all signals, which are for the
/// program's threads. `name` has at most 15 characters. Throws std::system_error if there can be no
/// more threads.
void start_own_thread(const char* name, std::function<void()> body);

}  // namespace hoist::detail::os
