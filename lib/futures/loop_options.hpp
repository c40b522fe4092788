// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/executor.hpp>
#include <hoist/parallel_options.hpp>

namespace hoist::detail::futures {

/// The options of the loop behind an executor or pool. `threads`: what it is called if it is one of
/// threads, else null. Throws BadArgument for options that can't be met.
ParallelOptions loop_options(const ExecutorOptions& options, const char* threads);

}  // namespace hoist::detail::futures
