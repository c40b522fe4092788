// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

namespace hoist::detail::os {

/// A process, told from later ones with its number by the time when it started. 0 is none. Fits
/// into one store, so that shared memory never has half of one.
using ProcessId = std::uint64_t;

constexpr int pid_of(ProcessId process) { return static_cast<int>(process >> 32); }

/// Takes a few nanoseconds but for the first call of a process.
ProcessId own_process();
/// What own_thread() returns in this thread; 0 until its first call.
extern constinit thread_local std::uint64_t known_thread;
std::uint64_t find_own_thread();

/// The calling thread: its pid in the upper half, the kernel's number of it in the lower. Never 0;
/// takes a nanosecond but for the first call of a thread.
inline std::uint64_t own_thread() { return known_thread != 0 ? known_thread : find_own_thread(); }
/// Whether it has not ended yet; one that has but was not waited for has. The number must be one of
/// this PID namespace.
bool is_running(ProcessId process) noexcept;

}  // namespace hoist::detail::os
