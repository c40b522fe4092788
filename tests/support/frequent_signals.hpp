// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <pthread.h>
#include <unistd.h>

#include <csignal>
#include <ctime>
#include <stdexcept>

namespace support {

/// While this lives, the calling thread gets a signal 20,000 times a second, as from a profiler.
class FrequentSignals {
 public:
  FrequentSignals() {
    struct sigaction nothing{};
    nothing.sa_handler = [](int) {};
    nothing.sa_flags = SA_RESTART;
    ::sigaction(SIGUSR1, &nothing, &before_);
    sigevent event{};
    event.sigev_notify = SIGEV_THREAD_ID;
    event.sigev_signo = SIGUSR1;
    event._sigev_un._tid = ::gettid();
    if (::timer_create(CLOCK_MONOTONIC, &event, &timer_) != 0) {
      throw std::runtime_error("no timer");
    }
    constexpr timespec interval{0, 50'000};
    const itimerspec often{interval, interval};
    ::timer_settime(timer_, 0, &often, nullptr);
  }
  FrequentSignals(const FrequentSignals&) = delete;
  FrequentSignals& operator=(const FrequentSignals&) = delete;
  ~FrequentSignals() {
    ::timer_delete(timer_);
    ::sigaction(SIGUSR1, &before_, nullptr);
  }

 private:
  timer_t timer_{};
  struct sigaction before_{};
};

}  // namespace support
