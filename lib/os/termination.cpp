// SPDX-License-Identifier: BSD-3-Clause
#include "os/termination.hpp"

#include <pthread.h>

#include <csignal>
#include <utility>

#include "os/own_thread.hpp"

namespace hoist::detail::os {

void at_termination(std::function<void()> action) {
  sigset_t termination;
  ::sigemptyset(&termination);
  ::sigaddset(&termination, SIGTERM);
  ::pthread_sigmask(SIG_BLOCK, &termination, nullptr);
  start_own_thread("hoist-sigterm", [termination, action = std::move(action)] {
    int signal = 0;
    ::sigwait(&termination, &signal);
    action();
  });
}

}  // namespace hoist::detail::os
