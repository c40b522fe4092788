// SPDX-License-Identifier: BSD-3-Clause
#include "workers/idle_workers.hpp"

#include <algorithm>

#include "workers/loop_segments.hpp"

namespace hoist::detail::workers {

namespace {

/// When an idle worker may leave; what is as good as never doesn't overflow.
ipc::Clock::time_point leaving(const WorkerProcess& worker, const WorkerOptions& options) {
  constexpr std::chrono::milliseconds longest = std::chrono::hours(24 * 365);
  return worker.idle_since + std::min(options.idle_timeout, longest);
}

}  // namespace

IdleWorkers::Kind& IdleWorkers::kind(const WorkerOptions& options, unsigned threads) {
  for (const auto& known : kinds_) {
    if (known->threads == threads && known->options == options) return *known;
  }
  kinds_.push_back(std::make_unique<Kind>(Kind{options, threads, 0, {}}));
  return *kinds_.back();
}

std::shared_ptr<WorkerProcess> IdleWorkers::take(const WorkerOptions& options, unsigned threads) {
  auto& idle = kind(options, threads).idle;
  while (!idle.empty()) {
    auto worker = std::move(idle.back());
    idle.pop_back();
    if (!worker->dead()) return worker;
  }
  return nullptr;
}

ipc::Clock::time_point IdleWorkers::put(std::shared_ptr<WorkerProcess> worker,
                                        const WorkerOptions& options, unsigned threads,
                                        std::size_t keep) {
  if (worker->dead()) return ipc::Clock::time_point::max();
  worker->idle_since = ipc::Clock::now();
  const auto leaves = leaving(*worker, options);
  Kind& its = kind(options, threads);
  its.most = std::max(its.most, keep);
  if (its.idle.size() >= its.most) {
    worker->ask_to_leave();
    return ipc::Clock::time_point::max();
  }
  its.idle.push_back(std::move(worker));
  return leaves;
}

ipc::Clock::time_point IdleWorkers::retire() {
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

void IdleWorkers::forget_expired() {
  for (const auto& kind : kinds_) {
    for (const auto& worker : kind->idle) LoopSegments::forget_all(*worker);
  }
}

void IdleWorkers::clear() {
  for (const auto& kind : kinds_) {
    for (const auto& worker : kind->idle) worker->ask_to_leave();
  }
  kinds_.clear();
}

}  // namespace hoist::detail::workers
