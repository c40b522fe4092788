// SPDX-License-Identifier: BSD-3-Clause
//
// A user-defined backend: one thread per worker, started for one loop and joined at its end. The
// dispatcher implements all behaviour; the backend decides only where batches run.

#include <hoist/hoist.hpp>

#include <cmath>
#include <condition_variable>
#include <cstdio>
#include <memory>
#include <mutex>
#include <ranges>
#include <thread>
#include <vector>

namespace {

class FreshThreads final : public hoist::Session {
 public:
  explicit FreshThreads(hoist::Loop& loop) : loop_(loop) {
    for (unsigned i = 0; i < loop.n_jobs(); ++i) {
      threads_.emplace_back([this, i] { serve(i); });
    }
  }
  ~FreshThreads() override { stop(); }

  // More tasks may be taken.
  void wake(std::size_t) override {
    const std::lock_guard lock(mutex_);
    ++wakes_;
    changed_.notify_all();
  }

  // The thread that owns the loop only waits for changes.
  void work(unsigned seen, hoist::Clock::time_point deadline) override {
    loop_.wait(seen, deadline);
  }

  // When this returns nothing of the loop may be running, and no thread takes more tasks.
  void stop() override {
    {
      const std::lock_guard lock(mutex_);
      stopped_ = true;
      changed_.notify_all();
    }
    for (std::thread& thread : threads_) {
      if (thread.joinable()) thread.join();
    }
  }

 private:
  void serve(unsigned number) {
    hoist::Worker worker{.number = number};
    std::unique_lock lock(mutex_);
    while (!stopped_) {
      const unsigned seen = wakes_;
      lock.unlock();
      hoist::TaskRange tasks;
      while (loop_.take(tasks, worker)) loop_.run(tasks, worker);
      lock.lock();
      changed_.wait(lock, [&] { return stopped_ || wakes_ != seen; });
    }
  }

  hoist::Loop& loop_;
  std::mutex mutex_;
  std::condition_variable changed_;
  unsigned wakes_ = 0;
  bool stopped_ = false;
  std::vector<std::thread> threads_;
};

class FreshThreadsBackend final : public hoist::Backend {
 public:
  hoist::BackendTraits traits() const override { return {.shares_memory = true}; }
  std::unique_ptr<hoist::Session> open(hoist::Loop& loop) override {
    return std::make_unique<FreshThreads>(loop);
  }
};

}  // namespace

int main() {
  hoist::register_backend("fresh_threads", [] { return std::make_shared<FreshThreadsBackend>(); });
  const hoist::Parallel parallel({.n_jobs = 3, .backend = "fresh_threads"});
  const auto roots = parallel.map(std::views::iota(0, 10'000), [](int i) { return std::sqrt(i); });
  std::printf("sqrt(9999) = %.6f\n", roots.back());

  // Order, errors, retries, limits and generators work as with the built-in backends.
  try {
    parallel.for_each(std::views::iota(0, 100), [](int i) {
      if (i == 42) throw hoist::NotFound("no answer to task 42");
    });
  } catch (const hoist::NotFound& error) {
    std::printf("as expected: %s\n", error.what());
    return roots.size() == 10'000 ? 0 : 1;
  }
  return 1;
}
