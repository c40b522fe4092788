// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <functional>

namespace hoist::detail::base {

/// A row of jobs whose middle part may run on any thread. `start` and `finish` run on the calling
/// thread, in order; each job has a slot, reused once it is finished.
struct OrderedWork {
  /// Prepares the next job in `slot`; false where there is none.
  std::function<bool(std::size_t slot)> start;
  std::function<void(std::size_t slot)> work;
  /// Takes the result: called for each job in the order of `start`.
  std::function<void(std::size_t slot)> finish;
};

/// How many slots keep `threads` busy while the calling thread finishes the oldest job.
constexpr std::size_t ordered_slots(unsigned threads) {
  return threads < 2 ? 1 : std::size_t{2} * threads;
}

/// Runs the jobs on up to `threads` threads, the caller's among them, with at most
/// `ordered_slots(threads)` of them under way. Threads are begun only for jobs that are there.
/// Rethrows the first exception after all have stopped; jobs already started may then be dropped.
void run_ordered(unsigned threads, const OrderedWork& work);

}  // namespace hoist::detail::base
