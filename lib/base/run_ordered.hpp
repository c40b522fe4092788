// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <functional>

namespace hoist::detail::base {

/// A sequence of jobs. `start` and `finish` run on the calling thread, in order; `work` between
/// them runs on any thread. Each job has a slot, which is reused once it is finished.
struct OrderedWork {
  /// Prepares the next job in `slot`. Returns false if there is none.
  std::function<bool(std::size_t slot)> start;
  std::function<void(std::size_t slot)> work;
  /// Takes the result. Called for each job in the order of `start`.
  std::function<void(std::size_t slot)> finish;
};

/// How many slots keep `threads` busy while the calling thread finishes the oldest job.
constexpr std::size_t ordered_slots(unsigned threads) {
  return threads < 2 ? 1 : std::size_t{2} * threads;
}

/// Runs the jobs on up to `threads` threads, the caller's among them, with at most
/// `ordered_slots(threads)` jobs started and not finished. Starts no more threads than there are
/// jobs, and makes do with fewer where the system gives no more. Rethrows the first exception after
/// all threads have stopped; jobs that were started may then be dropped.
void run_ordered(unsigned threads, const OrderedWork& work);

}  // namespace hoist::detail::base
