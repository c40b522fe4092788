// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/backend.hpp>

#include <atomic>
#include <cstddef>

#include "parallel/settings.hpp"

namespace hoist::detail::parallel {

/// How many tasks a worker gets at once: as many as take the backend's `batch_seconds`, by the time
/// of that worker's tasks so far. Thread-safe; a worker is used by one thread at a time.
class BatchSizer {
 public:
  explicit BatchSizer(const Settings& settings);

  bool is_automatic() const noexcept { return fixed_ == 0; }
  /// The size of the worker's next batch where `available` tasks may be taken.
  std::size_t next(const Worker& worker, std::size_t available) const;
  /// Notes that the worker took `seconds` for `tasks` tasks.
  void note(Worker& worker, std::size_t tasks, double seconds);
  /// About how many tasks make a batch now.
  std::size_t hint() const noexcept { return hint_.load(std::memory_order_relaxed); }
  /// About how long a task takes now; 0 if that isn't known.
  double task_seconds() const noexcept { return task_seconds_.load(std::memory_order_relaxed); }

 private:
  const std::size_t fixed_;  // 0: automatic
  const bool one_by_one_;
  const double batch_seconds_;
  const std::size_t fair_parts_;
  std::atomic<std::size_t> hint_{1};
  std::atomic<double> task_seconds_{0};
};

}  // namespace hoist::detail::parallel
