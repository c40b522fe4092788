// SPDX-License-Identifier: BSD-3-Clause
#include "os/process_end.hpp"

#include <algorithm>
#include <cstdlib>
#include <mutex>
#include <vector>

#include "os/fork_hook.hpp"

namespace hoist::detail::os {

namespace {

struct Actions {
  std::mutex mutex;
  std::vector<void (*)()> actions;
};

constinit PerProcess<Actions> per_process;

}  // namespace

void at_process_end(void (*action)()) {
  static const int registered = std::atexit([] { run_process_end(); });
  static_cast<void>(registered);
  Actions& all = per_process.here();
  const std::lock_guard lock(all.mutex);
  if (std::ranges::find(all.actions, action) == all.actions.end()) all.actions.push_back(action);
}

void run_process_end() noexcept {
  Actions* const all = per_process.find();
  if (all == nullptr) return;
  std::vector<void (*)()> actions;
  {
    const std::lock_guard lock(all->mutex);
    actions.swap(all->actions);
  }
  for (auto* const action : actions) action();
}

}  // namespace hoist::detail::os
