// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <atomic>
#include <mutex>
#include <vector>

#include "backends/builtin.hpp"
#include "base/spin.hpp"
#include "os/thread_pool.hpp"
#include "os/thread_settings.hpp"

namespace hoist::detail::backends {

namespace {

/// Threads of the pool and the thread that owns the loop fetch batches until there are none. The
/// owner works too; where it reads input it does so only if the pool has no thread left, since a
/// long task would keep it from reading.
class ThreadsSession final : public Session, public os::ThreadPool::Job {
 public:
  explicit ThreadsSession(Loop& loop)
      : loop_(loop),
        owner_works_(!loop.owner_is_busy()),
        max_helpers_(loop.n_jobs() - (owner_works_ ? 1 : 0)),
        workers_(loop.n_jobs() + 1) {
    for (unsigned i = 0; i < workers_.size(); ++i) workers_[i].number = i;
    for (unsigned i = loop.n_jobs(); i > 0; --i) free_.push_back(i);
  }

  void wake(std::size_t tasks) override {
    // A helper that is about to leave looks again after it was counted off.
    if (helpers_.load() == max_helpers_) return;
    // Enlisted with the lock: after stop() nobody may.
    const std::lock_guard lock(mutex_);
    if (stopped_) return;
    const auto missing =
        static_cast<unsigned>(std::min<std::size_t>(tasks, max_helpers_ - helpers_.load()));
    helpers_.fetch_add(missing);
    if (missing > 0 && os::ThreadPool::shared().enlist(*this, missing) < missing) {
      short_of_threads_.store(true);
    }
  }

  void work(unsigned seen, Clock::time_point deadline) override {
    if (owner_works_ || short_of_threads_.load()) {
      TaskRange tasks;
      if (loop_.take(tasks, workers_[0])) {
        loop_.run(tasks, workers_[0]);
        return;
      }
    }
    if (base::spin_until([&] { return loop_.epoch() != seen; })) return;
    if (owner_works_) loop_.request_split();
    loop_.wait(seen, deadline);
  }

  void stop() override {
    {
      const std::lock_guard lock(mutex_);
      stopped_ = true;
    }
    os::ThreadPool::shared().withdraw(*this);
  }

  void help() noexcept override {
    const os::ThreadSettingsScope like_owner(owner_);
    std::unique_lock lock(mutex_);
    const unsigned mine = free_.back();
    free_.pop_back();
    for (;;) {
      lock.unlock();
      do {
        loop_.run_all(workers_[mine]);
        if (loop_.stopping()) break;
      } while (base::spin_until([&] { return loop_.available() || loop_.stopping(); }));
      loop_.request_split();
      lock.lock();
      helpers_.fetch_sub(1);
      // Whoever released tasks before that may have counted on this helper.
      if (stopped_ || loop_.stopping() || !loop_.available()) break;
      helpers_.fetch_add(1);
    }
    free_.push_back(mine);
  }

 private:
  Loop& loop_;
  const os::ThreadSettings owner_ = os::ThreadSettings::of_this_thread();
  const bool owner_works_;
  const unsigned max_helpers_;
  std::vector<Worker> workers_;  // the owner's first
  std::atomic<bool> short_of_threads_{false};
  std::mutex mutex_;
  std::vector<unsigned> free_;
  std::atomic<unsigned> helpers_{0};  // asked for, or at work; changed with the mutex
  bool stopped_ = false;
};

class ThreadsBackend final : public Backend {
 public:
  BackendTraits traits() const override { return {.works_alone = true}; }
  std::unique_ptr<Session> open(Loop& loop) override {
    return std::make_unique<ThreadsSession>(loop);
  }
};

}  // namespace

std::shared_ptr<Backend> make_threads_backend() { return std::make_shared<ThreadsBackend>(); }

}  // namespace hoist::detail::backends
