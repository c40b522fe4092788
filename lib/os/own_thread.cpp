// SPDX-License-Identifier: BSD-3-Clause
#include "os/own_thread.hpp"

#include <hoist/error.hpp>

#include <pthread.h>

#include <string>
#include <system_error>
#include <utility>

namespace hoist::detail::os {

BlockSignals::BlockSignals() {
  sigset_t all;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before_);
}

BlockSignals::~BlockSignals() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

std::jthread own_thread(const char* name, std::function<void()> body) {
  const BlockSignals blocked;
  try {
    return std::jthread([name, body = std::move(body)] {
      ::pthread_setname_np(::pthread_self(), name);
      body();
    });
  } catch (const std::system_error& error) {
    std::string what = "can't start the thread ";
    what += name;
    what += "; threads count for `ulimit -u` and for a container's limit on processes";
    throw SystemError(what, error.code().value());
  }
}

void start_own_thread(const char* name, std::function<void()> body) {
  own_thread(name, std::move(body)).detach();
}

}  // namespace hoist::detail::os
