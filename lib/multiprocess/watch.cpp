// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/detail/watch.hpp>

#include <hoist/error.hpp>

#include <algorithm>
#include <iterator>
#include <mutex>
#include <utility>
#include <vector>

#include "multiprocess/robust_mutex.hpp"
#include "os/bell.hpp"
#include "os/fork_hook.hpp"
#include "os/futex.hpp"
#include "os/thread_pool.hpp"

namespace hoist::detail {

namespace multiprocess {

namespace {

/// Sleeps on the bells of all that is watched.
class Watcher {
 public:
  void add(Watch& watch, Change change) {
    {
      const std::lock_guard lock(mutex_);
      if (!started_) start();
      watched_.push_back({&watch, std::move(change)});
    }
    news_.ring();
  }

  bool remove(Watch& watch) {
    Watched removed;  // may have the last handle of what it watches: freed without the lock
    const std::lock_guard lock(mutex_);
    const auto found = std::ranges::find(watched_, &watch, &Watched::watch);
    if (found == watched_.end()) return false;
    removed = std::exchange(*found, std::move(watched_.back()));
    watched_.pop_back();
    return true;
  }

 private:
  struct Watched {
    Watch* watch = nullptr;
    Change change{SharedBlock(BlockTag(), nullptr), nullptr, {}};

    bool is_ready() const {
      try {
        return change.is_ready();
      } catch (...) {
        return true;  // whoever tries what it waited for gets the error
      }
    }
  };

  void start() {
    os::ThreadPool::start_beside("hoist-watcher", [this] { run(); }, os::ThreadPool::Calls::user);
    started_ = true;
  }

  [[noreturn]] void run() {
    for (;;) {
      std::vector<os::SeenWord> words{news_.enter()};
      std::vector<std::pair<SharedBlock, os::Bell*>> bells;
      std::vector<Watched> ready;
      {
        const std::lock_guard lock(mutex_);
        for (const auto& [watch, change] : watched_) {
          bells.emplace_back(change.block, change.bell);
          words.push_back(change.bell->enter());
        }
        // Only now, since what changes from here on rings.
        const auto rest = std::partition(watched_.begin(), watched_.end(),
                                         [](const Watched& one) { return !one.is_ready(); });
        ready.assign(std::move_iterator(rest), std::move_iterator(watched_.end()));
        watched_.erase(rest, watched_.end());
      }
      if (ready.empty()) {
        // Processes die without ringing.
        os::sleep_while_all(
            words, bells.empty() ? Clock::time_point::max() : Clock::now() + look_interval);
      }
      news_.leave();
      for (const auto& [block, bell] : bells) bell->leave();
      for (const Watched& one : ready) one.watch->ready();
    }
  }

  std::mutex mutex_;
  std::vector<Watched> watched_;
  os::Bell news_;
  bool started_ = false;
};

constinit os::PerProcess<Watcher> watcher;

}  // namespace

}  // namespace multiprocess

void watch(Watch& watch, Change change) {
  multiprocess::watcher.here().add(watch, std::move(change));
}

bool unwatch(Watch& watch) { return multiprocess::watcher.here().remove(watch); }

}  // namespace hoist::detail
