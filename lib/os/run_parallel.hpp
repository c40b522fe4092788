// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <functional>

namespace hoist::detail::os {

/// Calls `work(i)` for each i < count on up to `threads` threads, the caller's among them, in
/// roughly ascending order. Rethrows the first exception after all have stopped.
void run_parallel(std::size_t count, unsigned threads,
                  const std::function<void(std::size_t)>& work);

/// How many threads large transfers and codecs use: as many as are asked for, by default (0) the usable
/// cores. That takes a system call, as long as a small value does to be dumped.
unsigned transfer_threads(unsigned asked = 0);

}  // namespace hoist::detail::os
