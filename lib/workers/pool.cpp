// SPDX-License-Identifier: BSD-3-Clause
#include "workers/pool.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "os/fork_hook.hpp"
#include "workers/loop_segments.hpp"
#include "workers/supervisor.hpp"

namespace hoist::detail::workers {

namespace {

/// A forked child starts with none: the workers are the parent's.
constinit os::PerProcess<WorkerPool> pool_of_process;

/// When an idle worker may leave; what is as good as never doesn't overflow.
ipc::Clock::time_point leaving(const WorkerProcess& worker, const WorkerOptions& options) {
  constexpr std::chrono::milliseconds longest = std::chrono::hours(24 * 365);
  return worker.idle_since + std::min(options.idle_timeout, longest);
}

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

WorkerPool::Kind& WorkerPool::kind(const WorkerOptions& options, unsigned threads) {
  for (const auto& known : kinds_) {
    if (known->threads == threads && known->options == options) return *known;
  }
  kinds_.push_back(std::make_unique<Kind>(Kind{options, threads, 0, {}}));
  return *kinds_.back();
}

std::shared_ptr<WorkerProcess> WorkerPool::lease(const WorkerOptions& options, unsigned threads) {
  {
    const std::lock_guard lock(mutex_);
    auto& idle = kind(options, threads).idle;
    while (!idle.empty()) {
      auto worker = std::move(idle.back());
      idle.pop_back();
      if (!worker->dead()) return worker;
    }
  }
  return WorkerProcess::start(options, threads);
}

void WorkerPool::give_back(std::shared_ptr<WorkerProcess> worker, const WorkerOptions& options,
                           unsigned threads, std::size_t keep) {
  if (worker->dead()) return;
  worker->idle_since = ipc::Clock::now();
  const auto leaves = leaving(*worker, options);
  {
    const std::lock_guard lock(mutex_);
    Kind& its = kind(options, threads);
    its.most = std::max(its.most, keep);
    if (its.idle.size() >= its.most) {
      worker->ask_to_leave();
      return;
    }
    its.idle.push_back(std::move(worker));
  }
  Supervisor::here().look_at(leaves);
}

void WorkerPool::forget_expired() noexcept {
  WorkerPool* const pool = pool_of_process.find();
  if (pool == nullptr) return;
  try {
    const std::lock_guard lock(pool->mutex_);
    for (const auto& kind : pool->kinds_) {
      for (const auto& worker : kind->idle) LoopSegments::forget_all(*worker);
    }
  } catch (const std::exception&) {
    // The next loop, or the end of the worker, sees to it.
  }
}

ipc::Clock::time_point WorkerPool::retire_idle() {
  const std::lock_guard lock(mutex_);
  const auto now = ipc::Clock::now();
  auto next = ipc::Clock::time_point::max();
  for (const auto& kind : kinds_) {
    std::erase_if(kind->idle, [&](const std::shared_ptr<WorkerProcess>& worker) {
      if (worker->dead()) return true;
      const auto leaves = leaving(*worker, kind->options);
      if (leaves > now) {
        next = std::min(next, leaves);
        return false;
      }
      worker->ask_to_leave();
      return true;
    });
  }
  std::erase_if(kinds_, [](const auto& kind) { return kind->idle.empty(); });
  return next;
}

void WorkerPool::end() {
  {
    const std::lock_guard lock(mutex_);
    for (const auto& kind : kinds_) {
      for (const auto& worker : kind->idle) worker->ask_to_leave();
    }
    kinds_.clear();
  }
  Supervisor::here().end_all();
}

}  // namespace hoist::detail::workers
