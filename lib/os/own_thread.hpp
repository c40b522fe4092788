// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <csignal>
#include <functional>

namespace hoist::detail::os {

/// Blocks all signals in the calling thread, for a scope. What is started in it begins like that.
class BlockSignals {
 public:
  BlockSignals();
  ~BlockSignals();
  BlockSignals(const BlockSignals&) = delete;
  BlockSignals& operator=(const BlockSignals&) = delete;

 private:
  sigset_t before_;
};

/// Starts a thread of hoist's own, which runs as long as the process may. It takes no signals: they
/// are for the program's threads. `name`: at most 15 characters. Throws std::system_error where there
/// can be no more threads.
void start_own_thread(const char* name, std::function<void()> body);

}  // namespace hoist::detail::os
