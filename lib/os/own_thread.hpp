// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <csignal>
#include <functional>
#include <thread>

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

/// Starts a thread of hoist's own. It blocks all signals, which are for the program's threads.
/// `name` has at most 15 characters. Throws SystemError if there can be no more threads.
std::jthread own_thread(const char* name, std::function<void()> body);

/// The same for a thread that may run until the process ends.
void start_own_thread(const char* name, std::function<void()> body);

}  // namespace hoist::detail::os
