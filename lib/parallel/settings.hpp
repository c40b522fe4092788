// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/backend.hpp>
#include <hoist/parallel_options.hpp>

#include <cstddef>
#include <limits>
#include <memory>
#include <string>

#include "os/inner_threads.hpp"
#include "parallel/context.hpp"

namespace hoist::detail::parallel {

/// What a loop is run with, once options, surroundings and environment have been heard.
struct Settings {
  ParallelOptions options;
  std::string backend_name;
  std::shared_ptr<Backend> backend;
  BackendTraits traits;
  unsigned n_jobs = 1;
  /// Tasks, or batches, to be read ahead.
  std::size_t window = std::numeric_limits<std::size_t>::max();
  /// 0: automatic.
  std::size_t batch = 0;
  /// Threads that libraries may start inside a task.
  os::ThreadLimit inner_threads;
  /// In which its tasks run.
  LoopContext inner;
};

/// Takes over what `options` leaves unset.
void inherit(ParallelOptions& options, const ParallelOptions& from);
Settings settle(const ParallelOptions& options);

/// The value of an expression in n_jobs, rounded down; BadArgument for anything else, and for values
/// beyond a million.
std::size_t evaluate_pre_dispatch(const std::string& text, unsigned n_jobs);

}  // namespace hoist::detail::parallel
