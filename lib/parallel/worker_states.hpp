// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/backend.hpp>
#include <hoist/worker.hpp>

#include <map>
#include <mutex>

namespace hoist::detail::parallel {

/// What a loop's initializer has made for workers that run in this process. Thread-safe.
class WorkerStates {
 public:
  explicit WorkerStates(const WorkerInitializer& initializer) : initializer_(initializer) {}
  /// The state of a worker, which is made when it is first asked for; null if the loop has no
  /// initializer. Throws what the initializer throws, and tries again the next time.
  WorkerState* of(const Worker& worker);

 private:
  struct Made {
    WorkerState state;
    bool done = false;  ///< an initializer may return nothing
  };

  const WorkerInitializer& initializer_;
  std::mutex mutex_;
  std::map<unsigned, Made> made_;
};

}  // namespace hoist::detail::parallel
