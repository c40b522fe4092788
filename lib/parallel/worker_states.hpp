// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/backend.hpp>

#include <map>
#include <mutex>

#include "workers/worker_state.hpp"

namespace hoist::detail::parallel {

/// What a loop's initializer has made for workers that run in this process. Thread-safe.
class WorkerStates {
 public:
  explicit WorkerStates(const WorkerInitializer& initializer) : initializer_(initializer) {}
  /// The state of a worker; see OwnState::get. Called by the thread that runs the worker's tasks.
  WorkerState* of(const Worker& worker);

 private:
  const WorkerInitializer& initializer_;
  std::mutex mutex_;
  std::map<unsigned, workers::OwnState> states_;
};

}  // namespace hoist::detail::parallel
