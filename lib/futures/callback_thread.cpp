// SPDX-License-Identifier: BSD-3-Clause
#include "futures/callback_thread.hpp"

#include <hoist/detail/future_state.hpp>
#include <hoist/error.hpp>
#include <hoist/outcome.hpp>
#include <hoist/this_task.hpp>

#include <condition_variable>
#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <utility>

#include "os/fork_hook.hpp"
#include "os/log.hpp"
#include "os/thread_pool.hpp"

namespace hoist::detail {

/// Calls callbacks one after the other, in the order in which they were posted.
class CallbackThread {
 public:
  void post(Callback* callback) {
    const std::lock_guard lock(mutex_);
    callback->next_ = nullptr;
    (last_ != nullptr ? last_->next_ : first_) = callback;
    last_ = callback;
    ++of_owners_[callback->owner_];
    if (!started_) start();
    posted_.notify_one();
  }

  /// Those of one owner; null: all.
  void await(const void* owner, Deadline deadline) {
    // A callback may wait for this task.
    if (in_thread_ || in_task()) return;
    std::unique_lock lock(mutex_);
    const auto is_done = [&] {
      return owner != nullptr ? !of_owners_.contains(owner) : of_owners_.empty();
    };
    if (deadline == Deadline::max()) {
      done_.wait(lock, is_done);
    } else {
      done_.wait_until(lock, deadline, is_done);
    }
  }

 private:
  void start() {
    try {
      os::ThreadPool::start_beside(
          "hoist-callbacks", [this] { run(); }, os::ThreadPool::Calls::user);
      started_ = true;
    } catch (const SystemError&) {
      // There can be no more threads now: the next callback tries again.
    }
  }

  [[noreturn]] void run() {
    in_thread_ = true;
    std::unique_lock lock(mutex_);
    for (;;) {
      posted_.wait(lock, [this] { return first_ != nullptr; });
      std::unique_ptr<Callback> next(std::exchange(first_, first_->next_));
      if (first_ == nullptr) last_ = nullptr;
      const void* const owner = next->owner_;
      lock.unlock();
      try {
        next->call();
      } catch (...) {
        os::log(LogLevel::error, "futures",
                "a callback of a future threw " + error_text(std::current_exception()));
      }
      next.reset();
      lock.lock();
      const auto left = of_owners_.find(owner);
      if (--left->second == 0) of_owners_.erase(left);
      done_.notify_all();
    }
  }

  static thread_local bool in_thread_;
  std::mutex mutex_;
  std::condition_variable posted_;
  std::condition_variable done_;
  Callback* first_ = nullptr;
  Callback* last_ = nullptr;
  std::map<const void*, std::size_t> of_owners_;  // callbacks that are not over
  bool started_ = false;
};

thread_local bool CallbackThread::in_thread_ = false;

namespace {
constinit os::PerProcess<CallbackThread> callback_thread;
}  // namespace

void post_callback(Callback* callback) noexcept { callback_thread.here().post(callback); }

namespace futures {

void await_callbacks(const void* owner, Deadline deadline) {
  if (CallbackThread* const thread = callback_thread.find()) thread->await(owner, deadline);
}

}  // namespace futures

}  // namespace hoist::detail
