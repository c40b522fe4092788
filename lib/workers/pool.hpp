// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>
#include <mutex>

#include "workers/idle_workers.hpp"

namespace hoist::detail::workers {

/// The workers of this process, kept between loops. A loop leases workers and gives them back; they
/// serve the next loop with equal options, or leave after their idle_timeout, and at the end of
/// main. All functions are thread-safe.
class WorkerPool {
 public:
  static WorkerPool& here();

  /// An idle worker, or a new one.
  std::shared_ptr<WorkerProcess> lease(const WorkerOptions& options, unsigned threads);
  /// Takes a worker back that has nothing to do; see IdleWorkers::put.
  void give_back(std::shared_ptr<WorkerProcess> worker, const WorkerOptions& options,
                 unsigned threads, std::size_t keep);
  /// Makes idle workers forget the shared values whose last handle is gone.
  static void forget_expired() noexcept;

 private:
  WorkerPool();
  ipc::Clock::time_point retire_idle();
  void end();

  std::mutex mutex_;
  IdleWorkers idle_;
};

}  // namespace hoist::detail::workers
