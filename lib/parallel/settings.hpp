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

/// What a loop runs with, resolved from its options, the surrounding ParallelConfig and the
/// environment.
struct Settings {
  ParallelOptions options;
  std::string backend_name;
  std::shared_ptr<Backend> backend;
  BackendTraits traits;
  unsigned n_jobs = 1;
  /// Those are all that there are.
  bool all_workers = false;
  /// How many tasks, or batches, to read ahead.
  std::size_t window = std::numeric_limits<std::size_t>::max();
  /// 0: automatic.
  std::size_t batch = 0;
  /// How many threads libraries may start inside a task.
  os::ThreadLimit inner_threads;
  /// The context in which its tasks run.
  LoopContext inner;
};

/// Sets what `options` leaves unset to what `from` has.
void inherit(ParallelOptions& options, const ParallelOptions& from);
/// Throws BadArgument for options that contradict each other, and for loops nested too deep. A loop
/// that is `open` goes on beside its owner, also with one thread, and is not stopped with the loop
/// in which it was made.
Settings resolve_settings(const ParallelOptions& options, bool open = false);

/// The value of an expression in n_jobs, rounded down. Throws BadArgument for anything else, and
/// for values beyond a million.
std::size_t evaluate_pre_dispatch(const std::string& text, unsigned n_jobs);

}  // namespace hoist::detail::parallel
