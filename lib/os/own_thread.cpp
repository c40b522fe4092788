// SPDX-License-Identifier: BSD-3-Clause
#include "os/own_thread.hpp"

#include <pthread.h>

#include <thread>
#include <utility>

namespace hoist::detail::os {

BlockSignals::BlockSignals() {
  sigset_t all;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before_);
}

BlockSignals::~BlockSignals() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

void start_own_thread(const char* name, std::function<void()> body) {
  const BlockSignals blocked;
  std::thread([name, body = std::move(body)] {
    ::pthread_setname_np(::pthread_self(), name);
    body();
  }).detach();
}

}  // namespace hoist::detail::os
