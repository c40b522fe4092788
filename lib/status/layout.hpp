// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

// The file of counters that a program publishes, as docs/formats/status.md describes it: a header,
// and slots of its size.

namespace hoist::detail::status {

inline constexpr std::array<char, 8> magic = {'h', 'o', 'i', 's', 't', 't', 'o', 'p'};
inline constexpr std::uint32_t version = 1;
inline constexpr std::uint64_t unknown = UINT64_MAX;

enum class SlotState : std::uint32_t { free, in_change, loop, executor, function };

struct Header {
  std::array<char, 8> magic{};
  std::uint32_t version = 0;
  std::uint32_t slots = 0;
  /// When the file was made, in nanoseconds since the system started (CLOCK_BOOTTIME): a process
  /// that started later is another one with the same number.
  std::uint64_t made = 0;
  std::atomic<std::uint64_t> loops{0};     ///< that have ended
  std::atomic<std::uint64_t> tasks{0};     ///< done in these
  std::atomic<std::uint64_t> left_out{0};  ///< loops and functions that found no slot
  std::array<char, 80> rest{};
};

struct LoopCounters {
  std::uint64_t started = 0;  ///< in nanoseconds since 1970
  std::atomic<std::uint64_t> total{unknown};
  std::atomic<std::uint64_t> done{0};
  std::atomic<std::uint64_t> failed{0};
  std::atomic<std::uint64_t> busy{0};  ///< nanoseconds that workers spent in tasks, or unknown
  std::uint32_t workers = 0;
  std::array<char, 28> backend{};
};

struct FunctionCounters {
  std::atomic<std::uint64_t> hits{0};
  std::atomic<std::uint64_t> misses{0};
  std::array<char, 104> name{};
};

struct Slot {
  std::atomic<SlotState> state{SlotState::free};
  /// Another one for each use, so that a reader sees that a slot has changed while it was read.
  std::atomic<std::uint32_t> use{0};
  alignas(8) std::array<std::byte, 120> content{};

  LoopCounters& loop() { return *reinterpret_cast<LoopCounters*>(content.data()); }
  const LoopCounters& loop() const {
    return *reinterpret_cast<const LoopCounters*>(content.data());
  }
  FunctionCounters& function() { return *reinterpret_cast<FunctionCounters*>(content.data()); }
  const FunctionCounters& function() const {
    return *reinterpret_cast<const FunctionCounters*>(content.data());
  }
};

struct File {
  Header header;
  std::array<Slot, 127> slots;
};

static_assert(sizeof(LoopCounters) <= 120 && sizeof(FunctionCounters) == 120);
static_assert(sizeof(Header) == 128 && sizeof(Slot) == 128 && sizeof(File) == 16384);

}  // namespace hoist::detail::status
