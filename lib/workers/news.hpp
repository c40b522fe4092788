// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <mutex>
#include <utility>
#include <vector>

namespace hoist::detail::workers {

/// Of which of a loop's workers there is news: something to receive, or their end. Thread-safe.
class News {
 public:
  void add(unsigned worker) {
    const std::lock_guard lock(mutex_);
    workers_.push_back(worker);
    any_.store(true, std::memory_order_release);
  }
  bool any() const noexcept { return any_.load(std::memory_order_acquire); }
  /// The workers that were added since the last call, as often as they were.
  std::vector<unsigned> take() {
    const std::lock_guard lock(mutex_);
    any_.store(false, std::memory_order_relaxed);
    return std::exchange(workers_, {});
  }

 private:
  std::mutex mutex_;
  std::vector<unsigned> workers_;
  std::atomic<bool> any_{false};
};

}  // namespace hoist::detail::workers
