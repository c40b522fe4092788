// SPDX-License-Identifier: BSD-3-Clause
#include "os/thread_pool.hpp"

#include <hoist/error.hpp>

#include <pthread.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/spin.hpp"
#include "os/fork_hook.hpp"
#include "os/own_thread.hpp"

namespace hoist::detail::os {

namespace {

/// More threads only cost memory: callers do without them.
constexpr unsigned max_threads = 512;

/// The threads don't exist in a forked child: it starts with a pool of its own.
constinit PerProcess<ThreadPool> pool_of_process;
thread_local const ThreadPool* pool_of_thread = nullptr;

/// A thread that was just started, or that ends a job, becomes idle within this time.
constexpr auto moment = std::chrono::seconds(1);

}  // namespace

ThreadPool& ThreadPool::shared() {
  return pool_of_process.here([] { return new ThreadPool; });
}

unsigned ThreadPool::enlist(Job& job, unsigned count) {
  std::unique_lock lock(mutex_);
  const auto waiting = static_cast<unsigned>(queue_.size());
  unsigned soon = idle_ > waiting ? std::min(idle_ - waiting, count) : 0;
  const unsigned wake = soon;
  for (unsigned i = 0; i < count; ++i) queue_.push_back(&job);
  job.queued_ += count;
  queued_.store(queue_.size(), std::memory_order_relaxed);
  while (soon < count && threads_ < max_threads) {
    try {
      start_own_thread("hoist", [this] { thread(); });
    } catch (const SystemError&) {
      break;
    }
    ++threads_;
    ++soon;
  }
  lock.unlock();
  if (wake == 1) {
    work_.notify_one();
  } else if (wake > 1) {
    work_.notify_all();
  }
  return soon;
}

void ThreadPool::withdraw(Job& job) {
  std::unique_lock lock(mutex_);
  for (;;) {
    if (job.queued_ > 0) {
      std::erase(queue_, &job);
      queued_.store(queue_.size(), std::memory_order_relaxed);
      job.queued_ = 0;
    }
    if (job.running_ == 0) return;
    // A running helper may have enlisted more.
    left_.wait(lock, [&] { return job.running_ == 0; });
  }
}

std::size_t ThreadPool::own_threads() {
  ThreadPool& pool = shared();
  const std::lock_guard lock(pool.mutex_);
  return pool.threads_ + pool.others_.load();
}

void ThreadPool::start_beside(const char* name, std::function<void()> body, Calls calls) {
  ThreadPool& pool = shared();
  if (calls == Calls::user) {
    pool.calling_.fetch_add(1);
    body = [&pool, called = std::move(body)] {
      called();
      pool.calling_.fetch_sub(1);
    };
  }
  {
    const std::lock_guard lock(pool.mutex_);
    if (!pool.resting_.empty()) {
      Resting& thread = *pool.resting_.back();
      pool.resting_.pop_back();
      thread.name = name;
      thread.next = std::move(body);
      thread.called.notify_one();
      return;
    }
  }
  pool.others_.fetch_add(1);
  try {
    start_own_thread(
        name, [&pool, body = std::move(body)]() mutable { pool.run_beside(std::move(body)); });
  } catch (...) {
    pool.others_.fetch_sub(1);
    if (calls == Calls::user) pool.calling_.fetch_sub(1);
    throw;
  }
}

void ThreadPool::run_beside(std::function<void()> body) {
  for (;;) {
    std::exchange(body, nullptr)();
    Resting own;
    std::unique_lock lock(mutex_);
    resting_.push_back(&own);
    own.called.wait(lock, [&] { return own.next != nullptr; });
    body = std::move(own.next);
    ::pthread_setname_np(::pthread_self(), own.name);
  }
}

bool ThreadPool::in_pool() {
  return pool_of_thread != nullptr && pool_of_thread == pool_of_process.find();
}

void ThreadPool::thread() {
  pool_of_thread = this;
  std::unique_lock lock(mutex_);
  for (;;) {
    ++idle_;
    if (idle_ == threads_) rested_.notify_all();
    if (queue_.empty()) {
      // The next loop often follows at once, and waking costs 40 us.
      lock.unlock();
      base::spin_until([this] { return queued_.load(std::memory_order_relaxed) > 0; });
      lock.lock();
      work_.wait(lock, [this] { return !queue_.empty(); });
    }
    --idle_;
    Job& job = *queue_.front();
    queue_.pop_front();
    queued_.store(queue_.size(), std::memory_order_relaxed);
    --job.queued_;
    ++job.running_;
    lock.unlock();
    job.help();
    lock.lock();
    if (--job.running_ == 0) left_.notify_all();
  }
}

bool ThreadPool::may_call_user() {
  const std::lock_guard lock(mutex_);
  return idle_ != threads_ || !queue_.empty() || calling_.load() > 0;
}

bool ThreadPool::hold_for_fork() {
  std::unique_lock lock(mutex_);
  const auto at_rest = [this] { return idle_ == threads_ && queue_.empty(); };
  if (!rested_.wait_for(lock, moment, at_rest)) return false;
  lock.release();
  return true;
}

void ThreadPool::release_in_parent() { mutex_.unlock(); }

}  // namespace hoist::detail::os
