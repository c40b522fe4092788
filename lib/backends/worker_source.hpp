// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/worker_options.hpp>

#include <cstddef>
#include <functional>
#include <memory>

#include "workers/worker_process.hpp"

namespace hoist::detail::backends {

/// Where a loop's worker processes come from, and how it waits for them: the children of this
/// process, or those of other machines. Thread-safe.
class WorkerSource {
 public:
  virtual ~WorkerSource() = default;
  /// An idle worker that was started with these options, or a new one; null if there can be none
  /// now or, where it is not to `crowd`, if all machines have as many as they are for. Throws
  /// SystemError.
  virtual std::shared_ptr<workers::WorkerProcess> lease(const WorkerOptions& options,
                                                        unsigned threads, bool crowd) = 0;
  /// Takes one back that has nothing to do. `keep`: how many the loop has used.
  virtual void give_back(std::shared_ptr<workers::WorkerProcess> worker,
                         const WorkerOptions& options, unsigned threads, std::size_t keep) = 0;
  /// How many workers the machines are for now, where that may grow; 0 where it doesn't.
  virtual unsigned capacity() const { return 0; }
  /// Whether workers add to a News what there is of it. Otherwise one has to look at each.
  virtual bool tells_news() const { return false; }
  /// How many threads a task may use if so many workers run at a time.
  virtual unsigned threads_each(unsigned workers) const = 0;
  /// Sends what was put for workers, as wait() does.
  virtual void flush() {}
  /// Returns when `ready`, or at the deadline. Meanwhile messages of workers arrive, each of which
  /// rings the worker's bell; who changes `ready` otherwise rings that, too. `soon`: it is expected
  /// within the time that it takes to wake a process.
  virtual void wait(std::size_t bell, ipc::Clock::time_point deadline,
                    const std::function<bool()>& ready, bool soon) = 0;
};

}  // namespace hoist::detail::backends
