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

int with(int operation, Sharing sharing) {
  return sharing == Sharing::threads ? operation | FUTEX_PRIVATE_FLAG : operation;
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
  using Clock = std::chrono::steady_clock;
  timespec limit{};
  timespec* timeout = nullptr;
  if (deadline != Clock::time_point::max()) {
    const auto left = deadline - Clock::now();
    if (left <= Clock::duration::zero()) return;
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(left);
    limit.tv_sec = static_cast<std::time_t>(seconds.count());
    limit.tv_nsec = static_cast<long>(
        std::chrono::duration_cast<std::chrono::nanoseconds>(left - seconds).count());
    timeout = &limit;
  }
  ::syscall(SYS_futex, &word, with(FUTEX_WAIT, sharing), seen, timeout, nullptr, 0);
}

void sleep_while_all(std::span<const SeenWord> words,
                     std::chrono::steady_clock::time_point deadline) noexcept {
  using Clock = std::chrono::steady_clock;
  constexpr auto max = Clock::time_point::max();
  if (words.size() <= waitv_most) {
    std::array<WaitvEntry, waitv_most> entries;
    std::ranges::transform(words, entries.begin(), [](const SeenWord& one) {
      return WaitvEntry{one.seen, reinterpret_cast<std::uintptr_t>(one.word)};
    });
    // The deadline is a time of the monotonic clock, as this system call has it.
    const auto since = deadline.time_since_epoch();
    const auto seconds = std::chrono::floor<std::chrono::seconds>(since);
    const timespec limit{
        static_cast<std::time_t>(seconds.count()),
        static_cast<long>(
            std::chrono::duration_cast<std::chrono::nanoseconds>(since - seconds).count())};
    const long woken = ::syscall(waitv_number, entries.data(), words.size(), 0U,
                                 deadline == max ? nullptr : &limit, CLOCK_MONOTONIC);
    if (woken >= 0 || errno == ETIMEDOUT || errno == EAGAIN || errno == EINTR) return;
  }
  const auto soon = Clock::now() + std::chrono::milliseconds(1);
  sleep_while(*words.front().word, words.front().seen, std::min(deadline, soon),
              Sharing::processes);
}

void wake_all(std::atomic<std::uint32_t>& word, Sharing sharing) noexcept {
  ::syscall(SYS_futex, &word, with(FUTEX_WAKE, sharing), INT_MAX, nullptr, nullptr, 0);
}

}  // namespace hoist::detail::os
