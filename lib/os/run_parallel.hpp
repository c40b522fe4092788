// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <functional>

namespace hoist::detail::os {

/// Calls `work(i)` for each i < count on up to `threads` threads, the caller's among them, in
/// roughly ascending order. Rethrows the first exception after all have stopped.
void run_parallel(std::size_t count, unsigned threads,
                  const std::function<void(std::size_t)>& work);

/// How many threads large transfers and codecs use: `asked`, or the usable cores if that is 0. That
/// takes a system call, as long as dumping a small value.
unsigned transfer_threads(unsigned asked = 0);

}  // namespace hoist::detail::os
