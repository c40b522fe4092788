// SPDX-License-Identifier: BSD-3-Clause
#include "parallel/worker_states.hpp"

#include "workers/worker_state.hpp"

namespace hoist::detail::parallel {

WorkerState* WorkerStates::of(const Worker& worker) {
  if (!initializer_) return nullptr;
  std::unique_lock lock(mutex_);
  Made& made = made_[worker.number];
  lock.unlock();
  // Only the thread that runs this worker's tasks is here now.
  if (!made.done) {
    workers::initialize_state(initializer_, made.state);
    made.done = true;
  }
  return &made.state;
}

}  // namespace hoist::detail::parallel
