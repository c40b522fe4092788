// SPDX-License-Identifier: BSD-3-Clause
#include "base/thread_pool.hpp"

#include <algorithm>
#include <system_error>

namespace hoist::detail {

namespace {

/// More threads than this help nobody; loops that ask for more share them.
constexpr std::size_t max_threads = 1024;

}  // namespace

ThreadPool& ThreadPool::instance() {
  static ThreadPool pool;
  return pool;
}

ThreadPool::~ThreadPool() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  work_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void ThreadPool::run(unsigned helpers, const std::function<void()>& work) {
  if (helpers == 0) {
    work();
    return;
  }
  Job job{&work, helpers, 0, {}};
  std::list<Job*>::iterator place;
  {
    const std::lock_guard lock(mutex_);
    place = jobs_.insert(jobs_.end(), &job);
    try {
      for (unsigned have = idle_; have < helpers && threads_.size() < max_threads; ++have) {
        threads_.emplace_back([this] { serve(); });
      }
    } catch (const std::system_error&) {
      // No more threads to be had: the ones there are, and the caller, do the work.
    }
  }
  for (unsigned i = 0; i < helpers; ++i) work_.notify_one();
  work();
  std::unique_lock lock(mutex_);
  jobs_.erase(place);
  job.done.wait(lock, [&] { return job.running == 0; });
}

void ThreadPool::serve() {
  std::unique_lock lock(mutex_);
  for (;;) {
    const auto open = std::find_if(jobs_.begin(), jobs_.end(), [](Job* job) { return job->wanted > 0; });
    if (open != jobs_.end()) {
      Job& job = **open;
      --job.wanted;
      ++job.running;
      lock.unlock();
      (*job.work)();
      lock.lock();
      if (--job.running == 0) job.done.notify_one();
    } else if (ending_) {
      return;
    } else {
      ++idle_;
      work_.wait(lock);
      --idle_;
    }
  }
}

}  // namespace hoist::detail
