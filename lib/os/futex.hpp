// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <span>

namespace hoist::detail::os {

/// Who sleeps on a word: the threads of this process only, or others too that have it mapped.
enum class Sharing : unsigned char { threads, processes };

/// Sleeps while the word is `seen`, until it is woken or the deadline passes; may also wake without
/// a reason.
void sleep_while(std::atomic<std::uint32_t>& word, std::uint32_t seen,
                 std::chrono::steady_clock::time_point deadline, Sharing sharing) noexcept;
/// A word that processes share, and what it was when it was last looked at.
struct SeenWord {
  std::atomic<std::uint32_t>* word = nullptr;
  std::uint32_t seen = 0;
};
/// The same for several words: until one of them is woken. Where the system can't (before Linux
/// 5.16, or for more than 128 words), it sleeps on the first one alone, for a millisecond at most.
void sleep_while_all(std::span<const SeenWord> words,
                     std::chrono::steady_clock::time_point deadline) noexcept;
/// Wakes all that sleep on the word. Only its address is used.
void wake_all(std::atomic<std::uint32_t>& word, Sharing sharing) noexcept;

}  // namespace hoist::detail::os
