// SPDX-License-Identifier: BSD-3-Clause
#include "futures/callback_thread.hpp"

#include <hoist/detail/future_state.hpp>
#include <hoist/outcome.hpp>

#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <mutex>
#include <utility>

#include "os/fork_hook.hpp"
#include "os/own_thread.hpp"
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
    ++posted_count_;
    if (!started_) {
      started_ = true;
      os::ThreadPool::count_own_thread(1);
      os::start_own_thread("hoist-callbacks", [this] { run(); });
    }
    posted_.notify_one();
  }

  void await_posted(Deadline deadline) {
    if (in_thread_) return;
    std::unique_lock lock(mutex_);
    const auto is_done = [this, last = posted_count_] { return done_count_ >= last; };
    if (deadline == Deadline::max()) {
      done_.wait(lock, is_done);
    } else {
      done_.wait_until(lock, deadline, is_done);
    }
  }

 private:
  [[noreturn]] void run() {
    in_thread_ = true;
    std::unique_lock lock(mutex_);
    for (;;) {
      posted_.wait(lock, [this] { return first_ != nullptr; });
      std::unique_ptr<Callback> next(std::exchange(first_, first_->next_));
      if (first_ == nullptr) last_ = nullptr;
      lock.unlock();
      try {
        next->call();
      } catch (...) {
        std::fprintf(stderr, "hoist: a callback of a future threw %s\n",
                     error_text(std::current_exception()).c_str());
      }
      next.reset();
      lock.lock();
      ++done_count_;
      done_.notify_all();
    }
  }

  static thread_local bool in_thread_;
  std::mutex mutex_;
  std::condition_variable posted_;
  std::condition_variable done_;
  Callback* first_ = nullptr;
  Callback* last_ = nullptr;
  std::uint64_t posted_count_ = 0;
  std::uint64_t done_count_ = 0;
  bool started_ = false;
};

thread_local bool CallbackThread::in_thread_ = false;

namespace {
constinit os::PerProcess<CallbackThread> callback_thread;
}  // namespace

void post_callback(Callback* callback) noexcept { callback_thread.here().post(callback); }

namespace futures {

void await_callbacks(Deadline deadline) {
  if (CallbackThread* const thread = callback_thread.find()) thread->await_posted(deadline);
}

}  // namespace futures

}  // namespace hoist::detail
