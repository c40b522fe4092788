// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>
#include <vector>

#include "workers/worker_process.hpp"

namespace hoist::detail::workers {

/// The workers of this process, kept between loops. A loop leases workers and gives them back; they
/// serve the next loop with equal options, or leave after their idle_timeout, and at the end of
/// main. All functions are thread-safe.
class WorkerPool {
 public:
  static WorkerPool& here();

  /// An idle worker, or a new one.
  std::shared_ptr<WorkerProcess> lease(const WorkerOptions& options, unsigned threads);
  /// Takes a worker back that has nothing to do. `keep`: how many of its kind the loop has used; as
  /// many as the largest loop did may be idle, what goes beyond leaves. So loops of different sizes
  /// that take turns start none anew.
  void give_back(std::shared_ptr<WorkerProcess> worker, const WorkerOptions& options,
                 unsigned threads, std::size_t keep);
  /// Makes idle workers forget the shared values whose last handle is gone.
  static void forget_expired() noexcept;

 private:
  struct Kind {
    WorkerOptions options;
    unsigned threads = 1;
    std::size_t most = 0;                              // that one loop has used
    std::vector<std::shared_ptr<WorkerProcess>> idle;  // latest last
  };
  WorkerPool();
  Kind& kind(const WorkerOptions& options, unsigned threads);
  ipc::Clock::time_point retire_idle();
  void end();

  std::mutex mutex_;
  std::vector<std::unique_ptr<Kind>> kinds_;
};

}  // namespace hoist::detail::workers
