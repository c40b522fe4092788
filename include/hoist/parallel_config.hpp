// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/requirements.hpp>

#include <hoist/parallel_options.hpp>
#include <hoist/worker.hpp>

#include <memory>
#include <optional>

namespace hoist {

/// Defaults for the loops of a scope, in the thread that made it and in the tasks of its loops (in
/// spawned workers: n_jobs and backend only).
///
///     ParallelConfig scope{{.n_jobs = 4, .backend = "threads"}};
///
/// Options that are not set come from the surrounding scope. These options are used: n_jobs,
/// backend, prefer, require, verbose, progress, timeout, task_timeout, max_nbytes, mmap_mode,
/// temp_folder, inner_max_num_threads; setting another one is a BadArgument. The scopes of a thread
/// must end in the reverse order of their construction.
class [[nodiscard]] ParallelConfig {
 public:
  [[nodiscard]] explicit ParallelConfig(ParallelOptions options);
  ~ParallelConfig();
  ParallelConfig(const ParallelConfig&) = delete;
  ParallelConfig& operator=(const ParallelConfig&) = delete;

 private:
  std::shared_ptr<const ParallelOptions> before_;
};

/// The number of workers that a loop with this `n_jobs`, or without one, would get here. Throws
/// BadArgument for 0, and for a HOIST_N_JOBS that is no number. Thread-safe; cost: as cpu_count().
[[nodiscard]] int effective_n_jobs(std::optional<int> n_jobs = {});

}  // namespace hoist
