// SPDX-License-Identifier: BSD-3-Clause
#include "os/futex.hpp"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstddef>
#include <ctime>

namespace hoist::detail::os {

namespace {

using Clock = std::chrono::steady_clock;

int operation(int plain, Sharing sharing) {
  return sharing == Sharing::threads ? plain | FUTEX_PRIVATE_FLAG : plain;
}

timespec to_timespec(Clock::duration duration) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(duration);
  return {static_cast<std::time_t>(seconds.count()),
          static_cast<long>(
              std::chrono::duration_cast<std::chrono::nanoseconds>(duration - seconds).count())};
}

// As in <linux/futex.h>, which may be older than the running kernel.
constexpr long waitv_number = 449;
constexpr std::uint32_t waitv_32_bits = 2;
constexpr std::size_t waitv_most = 128;
struct WaitvEntry {
  std::uint64_t value = 0;
  std::uint64_t address = 0;
  std::uint32_t flags = waitv_32_bits;
  std::uint32_t reserved = 0;
};

}  // namespace

void sleep_while(std::atomic<std::uint32_t>& word, std::uint32_t seen,
                 std::chrono::steady_clock::time_point deadline, Sharing sharing) noexcept {
  timespec limit{};
  const bool for_ever = deadline == Clock::time_point::max();
  if (!for_ever) {
    const auto left = deadline - Clock::now();
    if (left <= Clock::duration::zero()) return;
    limit = to_timespec(left);
  }
  ::syscall(SYS_futex, &word, operation(FUTEX_WAIT, sharing), seen, for_ever ? nullptr : &limit,
            nullptr, 0);
}

void sleep_while_all(std::span<const SeenWord> words,
                     std::chrono::steady_clock::time_point deadline) noexcept {
  constexpr auto max = Clock::time_point::max();
  if (words.size() <= waitv_most) {
    std::array<WaitvEntry, waitv_most> waited;
    std::ranges::transform(words, waited.begin(), [](const SeenWord& one) {
      return WaitvEntry{one.seen, reinterpret_cast<std::uintptr_t>(one.word)};
    });
    // The deadline is a time of the monotonic clock, as this system call has it.
    const timespec limit = to_timespec(deadline.time_since_epoch());
    const long woken = ::syscall(waitv_number, waited.data(), words.size(), 0U,
                                 deadline == max ? nullptr : &limit, CLOCK_MONOTONIC);
    if (woken >= 0 || errno == ETIMEDOUT || errno == EAGAIN || errno == EINTR) return;
  }
  const auto soon = Clock::now() + std::chrono::milliseconds(1);
  sleep_while(*words.front().word, words.front().seen, std::min(deadline, soon),
              Sharing::processes);
}

void wake_all(std::atomic<std::uint32_t>& word, Sharing sharing) noexcept {
  ::syscall(SYS_futex, &word, operation(FUTEX_WAKE, sharing), INT_MAX, nullptr, nullptr, 0);
}

}  // namespace hoist::detail::os
