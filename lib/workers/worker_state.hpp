// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/worker.hpp>

namespace hoist::detail::workers {

/// Runs an initializer here, whose result becomes `state`. Throws what it throws.
void initialize_state(const WorkerInitializer& initializer, WorkerState& state);

/// Makes `state` that of the calling thread's tasks, until the end of the scope. Null: that of the
/// process.
class WorkerStateScope {
 public:
  explicit WorkerStateScope(WorkerState* state) noexcept;
  ~WorkerStateScope();
  WorkerStateScope(const WorkerStateScope&) = delete;
  WorkerStateScope& operator=(const WorkerStateScope&) = delete;

 private:
  WorkerState* const before_;
};

}  // namespace hoist::detail::workers
