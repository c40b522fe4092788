// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>

namespace hoist::detail::os {

/// Threads kept for the whole process, made as they are needed. Work is offered as helpers' calls:
/// whoever offers it can do it alone and withdraws what no thread has begun, so that nothing waits
/// for a free thread and nesting can't deadlock.
class ThreadPool {
 public:
  /// Something to be called by helpers. Must be withdrawn before it ends.
  class Job {
   public:
    virtual ~Job() = default;
    virtual void help() noexcept = 0;

   private:
    friend class ThreadPool;
    unsigned queued_ = 0;
    unsigned running_ = 0;
  };

  /// Never destroyed: threads of it may run until the process ends.
  static ThreadPool& shared();

  /// Asks `count` more threads to call `job.help()` once each, without waiting for them. Returns
  /// how many will do so at once.
  unsigned enlist(Job& job, unsigned count);
  /// Takes back the calls not begun and waits for the others.
  void withdraw(Job& job);

  /// Number of threads that are hoist's own, here and elsewhere, and safe to fork beside.
  static std::size_t own_threads();
  /// For other parts of hoist whose threads hold no lock that a child could need.
  static void count_own_thread(int change);
  /// Whether the calling thread is one of the pool's.
  static bool in_pool();

  /// Holds the pool still for forks: waits until its threads have come to rest. False, and nothing
  /// held, where one is at work for longer than a moment.
  bool hold_for_fork();
  void release_in_parent();

 private:
  ThreadPool() = default;
  void thread();

  std::mutex mutex_;
  std::condition_variable work_;
  std::condition_variable left_;
  std::condition_variable rested_;
  std::deque<Job*> queue_;
  std::atomic<std::size_t> queued_{0};
  unsigned idle_ = 0;
  unsigned threads_ = 0;
  std::atomic<int> others_{0};
};

}  // namespace hoist::detail::os
