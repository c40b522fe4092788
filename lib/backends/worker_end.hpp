// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/parallel_options.hpp>

#include <cstddef>
#include <exception>
#include <string>

#include "workers/worker_process.hpp"

namespace hoist::detail::backends {

/// WorkerDied: that this process ended, how, `when` ("while it ran task 5"), and its last words.
std::exception_ptr worker_died(int pid, const workers::WorkerEnd& end, const std::string& when);

/// TimedOut: that the process was killed, since the task was not done in time.
std::exception_ptr killed_for_task(int pid, std::size_t task, const TimeLimit& limit);

}  // namespace hoist::detail::backends
