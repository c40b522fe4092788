// SPDX-License-Identifier: BSD-3-Clause
#include "futures/loop_options.hpp"

#include <hoist/error.hpp>

#include <algorithm>
#include <string>

#include "os/cpu.hpp"
#include "parallel/context.hpp"

namespace hoist::detail::futures {

ParallelOptions loop_options(const ExecutorOptions& options, const char* threads) {
  ParallelOptions loop;
  if (options.max_workers && *options.max_workers == 0) {
    throw BadArgument(
        "max_workers is 0; it must be a number of workers, or -1 for all usable cores, -2 for all "
        "but one, and so on");
  }
  loop.n_jobs = options.max_workers;
  if (threads != nullptr) {
    if (options.max_tasks != 0 || !options.env.empty() || options.kill_on_cancel ||
        options.start_method != StartMethod::spawn) {
      throw BadArgument(std::string(threads) +
                        " runs calls on threads: max_tasks, env, kill_on_cancel and start_method "
                        "are for worker processes");
    }
    loop.backend = "threads";
    // As in Python: calls on threads often wait for something else than a core.
    if (!loop.n_jobs && parallel::loop_context().level == 0) {
      loop.n_jobs = std::min(32, os::usable_cores() + 4);
    }
  } else {
    if (options.start_method == StartMethod::forkserver) {
      throw BadArgument(
          "workers of executors and pools are spawned or forked: start_method is spawn "
          "or fork");
    }
    if (options.start_method == StartMethod::fork && options.max_tasks != 0) {
      throw BadArgument(
          "max_tasks is for spawned workers: forked ones see only the calls that were "
          "submitted before them");
    }
    loop.backend = options.start_method == StartMethod::fork ? "fork" : "spawn";
  }
  loop.retries = options.retries;
  loop.task_timeout = options.task_timeout;
  loop.workers.initializer = options.initializer;
  loop.workers.env = options.env;
  loop.workers.max_tasks = options.max_tasks;
  loop.workers.idle_timeout = options.idle_timeout;
  check_options(loop);
  return loop;
}

}  // namespace hoist::detail::futures
