// SPDX-License-Identifier: BSD-3-Clause
#include "parallel/worker_states.hpp"

namespace hoist::detail::parallel {

WorkerState* WorkerStates::of(const Worker& worker) {
  if (!initializer_) return nullptr;
  std::unique_lock lock(mutex_);
  workers::OwnState& state = states_[worker.number];
  lock.unlock();
  return state.get(initializer_);
}

}  // namespace hoist::detail::parallel
