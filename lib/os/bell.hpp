// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

#include "base/spin.hpp"
#include "os/futex.hpp"

namespace hoist::detail::os {

/// A futex in shared memory: one waiter sleeps on it, any process can wake it.
struct alignas(64) Bell {
  using Clock = std::chrono::steady_clock;

  std::atomic<std::uint32_t> count{0};
  std::atomic<std::uint32_t> sleepers{0};

  /// Wakes the waiter; costs a few nanoseconds if it doesn't sleep. To be called after what the
  /// waiter looks at has changed.
  void ring() noexcept {
    std::atomic_thread_fence(std::memory_order_seq_cst);
    if (sleepers.load(std::memory_order_relaxed) != 0) wake();
  }
  void wake() noexcept;

  /// For who sleeps on several bells (sleep_while_all): counts as a sleeper until leave(), and has
  /// to look before sleeping.
  SeenWord enter() noexcept {
    const std::uint32_t seen = count.load(std::memory_order_acquire);
    sleepers.fetch_add(1, std::memory_order_relaxed);
    std::atomic_thread_fence(std::memory_order_seq_cst);
    return {&count, seen};
  }
  void leave() noexcept { sleepers.fetch_sub(1, std::memory_order_relaxed); }

  /// Returns true once `ready()` holds, false at `deadline`. If that is expected `soon`, spins
  /// first, yielding the core, for about the time that waking a sleeper takes. Whatever changes the
  /// result of `ready` must call ring() afterwards.
  template <class Ready>
  bool wait(Clock::time_point deadline, Ready&& ready, bool soon = true) {
    if (ready()) return true;
    if (soon && spin(ready)) return true;
    for (;;) {
      const std::uint32_t seen = enter().seen;
      const bool now = ready();
      if (!now) sleep(seen, deadline);
      leave();
      if (now || ready()) return true;
      if (Clock::now() >= deadline) return false;
    }
  }

 private:
  void sleep(std::uint32_t seen, Clock::time_point deadline) noexcept;

  template <class Ready>
  bool spin(Ready& ready) {
    // A partner that answers at once does so within a microsecond, of which each pause would take
    // a tenth. After that the partner may need this core, so yields let it run. Waking a sleeper
    // costs 40 to 80 us on a virtual machine, so sleeping is delayed for that long.
    for (int i = 0; i < 512; ++i) {
      if (i >= 400) base::cpu_relax();
      if (ready()) return true;
    }
    auto now = Clock::now();
    const auto until = now + std::chrono::microseconds(60);
    while (now < until && base::yield_core(now)) {
      if (ready()) return true;
    }
    return ready();
  }
};

}  // namespace hoist::detail::os
