// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>
#include <vector>

#include "workers/worker_process.hpp"

namespace hoist::detail::workers {

/// Workers that loops have left behind, by the options they were started with. Not thread-safe.
class IdleWorkers {
 public:
  /// The latest of its kind; null if there is none.
  std::shared_ptr<WorkerProcess> take(const WorkerOptions& options, unsigned threads);
  /// Takes a worker that has nothing to do. `keep`: how many of its kind the loop has used; as many
  /// as the largest loop did may be idle, what goes beyond leaves. So loops of different sizes that
  /// take turns start none anew. Returns when to retire() next.
  ipc::Clock::time_point put(std::shared_ptr<WorkerProcess> worker, const WorkerOptions& options,
                             unsigned threads, std::size_t keep);
  /// Asks those to leave that have been idle for their idle_timeout. Returns when to call next.
  ipc::Clock::time_point retire();
  /// Makes them forget the shared values whose last handle is gone.
  void forget_expired();
  /// Asks all to leave.
  void clear();

 private:
  struct Kind {
    WorkerOptions options;
    unsigned threads = 1;
    std::size_t most = 0;                              // that one loop has used
    std::vector<std::shared_ptr<WorkerProcess>> idle;  // latest last
  };
  Kind& kind(const WorkerOptions& options, unsigned threads);

  std::vector<std::unique_ptr<Kind>> kinds_;
};

}  // namespace hoist::detail::workers
