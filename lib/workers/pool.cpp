// SPDX-License-Identifier: BSD-3-Clause
#include "workers/pool.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "os/fork_hook.hpp"
#include "workers/supervisor.hpp"

namespace hoist::detail::workers {

namespace {

/// A forked child starts with none: the workers are the parent's.
constinit os::PerProcess<WorkerPool> pool_of_process;

}  // namespace

WorkerPool& WorkerPool::here() {
  return pool_of_process.here([] { return new WorkerPool; });
}

WorkerPool::WorkerPool() {
  Supervisor::here().set_idle_check([] { return WorkerPool::here().retire_idle(); });
  static const pid_t owner = ::getpid();
  static const int registered = std::atexit([] {
    // Not in a forked child, which has the registration but not the workers.
    WorkerPool* const pool = pool_of_process.find();
    if (pool != nullptr && ::getpid() == owner) pool->end();
  });
  static_cast<void>(registered);
}

std::shared_ptr<WorkerProcess> WorkerPool::lease(const WorkerOptions& options, unsigned threads) {
  {
    const std::lock_guard lock(mutex_);
    if (auto worker = idle_.take(options, threads)) return worker;
  }
  return LocalWorker::start(options, threads);
}

void WorkerPool::give_back(std::shared_ptr<WorkerProcess> worker, const WorkerOptions& options,
                           unsigned threads, std::size_t keep) {
  std::unique_lock lock(mutex_);
  const auto leaves = idle_.put(std::move(worker), options, threads, keep);
  lock.unlock();
  Supervisor::here().look_at(leaves);
}

void WorkerPool::forget_expired() noexcept {
  WorkerPool* const pool = pool_of_process.find();
  if (pool == nullptr) return;
  try {
    const std::lock_guard lock(pool->mutex_);
    pool->idle_.forget_expired();
  } catch (const std::exception&) {
    // The next loop, or the end of the worker, sees to it.
  }
}

ipc::Clock::time_point WorkerPool::retire_idle() {
  const std::lock_guard lock(mutex_);
  return idle_.retire();
}

void WorkerPool::end() {
  {
    const std::lock_guard lock(mutex_);
    idle_.clear();
  }
  Supervisor::here().end_all();
}

}  // namespace hoist::detail::workers
