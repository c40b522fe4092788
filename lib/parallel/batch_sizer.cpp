// SPDX-License-Identifier: BSD-3-Clause
#include "parallel/batch_sizer.hpp"

#include <algorithm>

namespace hoist::detail::parallel {

BatchSizer::BatchSizer(const Settings& settings)
    : fixed_(settings.batch),
      // A task that is killed when its time is over must not take others of its batch with it.
      one_by_one_(settings.options.task_timeout.is_set() && settings.traits.kills_tasks),
      batch_seconds_(settings.traits.batch_seconds),
      // Nobody gets more than half of an equal share of what is left: the end is shared, too.
      fair_parts_(std::size_t{2} * settings.n_jobs) {}

std::size_t BatchSizer::next(const Worker& worker, std::size_t available) const {
  if (fixed_ != 0) return std::min(fixed_, available);
  if (one_by_one_) return 1;
  const std::size_t fair = std::max<std::size_t>(1, available / fair_parts_);
  return std::clamp<std::size_t>(worker.batch, 1, fair);
}

void BatchSizer::note(Worker& worker, std::size_t tasks, double seconds) {
  if (tasks == 0) return;
  const double sample = seconds / static_cast<double>(tasks);
  task_seconds_.store(sample, std::memory_order_relaxed);
  if (fixed_ != 0) return;
  double& mean = worker.task_seconds;
  mean = mean < 0 ? sample : 0.5 * mean + 0.5 * sample;
  const double wanted = batch_seconds_ / std::max(mean, 1e-11);
  const double most = 4.0 * static_cast<double>(worker.batch);
  worker.batch = static_cast<std::size_t>(std::clamp(wanted, 1.0, most));
  hint_.store(worker.batch, std::memory_order_relaxed);
}

}  // namespace hoist::detail::parallel
