// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

namespace hoist::detail::os {

/// Who sleeps on a word: the threads of this process only, or others too that have it mapped.
enum class Sharing : unsigned char { threads, processes };

/// Sleeps while the word is `seen`, until it is woken or the deadline passes; may also wake without
/// a reason.
void sleep_while(std::atomic<std::uint32_t>& word, std::uint32_t seen,
                 std::chrono::steady_clock::time_point deadline, Sharing sharing) noexcept;
/// Wakes all that sleep on the word. Only its address is used.
void wake_all(std::atomic<std::uint32_t>& word, Sharing sharing) noexcept;

}  // namespace hoist::detail::os
