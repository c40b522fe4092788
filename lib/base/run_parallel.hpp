// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <functional>

namespace hoist::detail {

/// Calls `work(i)` for each i < count on up to `threads` threads, the caller's among them, in
/// roughly ascending order. Rethrows the first exception after all have stopped.
void run_parallel(std::size_t count, unsigned threads,
                  const std::function<void(std::size_t)>& work);

/// How many threads large transfers and codecs use by default: the usable cores.
unsigned transfer_threads();

}  // namespace hoist::detail
