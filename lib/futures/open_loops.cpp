// SPDX-License-Identifier: BSD-3-Clause
#include "futures/open_loops.hpp"

#include <hoist/error.hpp>

#include <chrono>
#include <cstdlib>
#include <exception>
#include <memory>
#include <mutex>
#include <set>

#include "futures/callback_thread.hpp"
#include "futures/executor_loop.hpp"
#include "os/fork_hook.hpp"

namespace hoist::detail::futures {

namespace {

/// How long the end of the program waits for callbacks.
constexpr auto callbacks_patience = std::chrono::seconds(10);

struct OpenLoops {
  std::mutex mutex;
  std::set<ExecutorLoop*> loops;
};
constinit os::PerProcess<OpenLoops> open_loops;

/// False if there was none.
bool finish_one(OpenLoops& all) {
  std::unique_lock lock(all.mutex);
  if (all.loops.empty()) return false;
  const auto one = (*all.loops.begin())->weak_from_this().lock();
  all.loops.erase(all.loops.begin());
  lock.unlock();
  // A task that ends the program would wait for itself.
  if (one == nullptr || one->runs_here()) return true;
  if (one->ends_with_program()) {
    one->kill(std::make_exception_ptr(Cancelled("the program has ended")));
  } else {
    one->finish();
  }
  return true;
}

void finish_all() {
  OpenLoops* const all = open_loops.find();
  while (all != nullptr && finish_one(*all)) continue;
  await_callbacks(nullptr, Clock::now() + callbacks_patience);
}

}  // namespace

void add_open_loop(ExecutorLoop& loop) {
  {
    OpenLoops& all = open_loops.here();
    const std::lock_guard lock(all.mutex);
    all.loops.insert(&loop);
  }
  [[maybe_unused]] static const int registered = std::atexit(finish_all);
  if (!loop.settings().traits.shares_memory && !loop.forks()) {
    // To be called before what the first such session has registered, which ends its processes.
    [[maybe_unused]] static const int first = std::atexit(finish_all);
  }
}

void remove_open_loop(ExecutorLoop& loop) {
  if (OpenLoops* const all = open_loops.find()) {
    const std::lock_guard lock(all->mutex);
    all->loops.erase(&loop);
  }
}

}  // namespace hoist::detail::futures
