// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>

namespace hoist::detail::os {

/// The threads of the process, made as they are needed. A caller that has work enlists helpers, can
/// do the work alone, and withdraws the calls that no thread has begun. So nothing waits for a free
/// thread, and nesting can't deadlock.
class ThreadPool {
 public:
  /// Work that helpers can join. Must be withdrawn before it is destroyed.
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
  /// Takes back the calls that have not begun and waits for the others.
  void withdraw(Job& job);

  /// The number of threads of hoist's own, of the pool and others: those next to which it is safe
  /// to fork.
  static std::size_t own_threads();
  /// Counts a thread of another part of hoist, which must hold no lock that a child could need.
  static void count_own_thread(int change);
  /// Whether the calling thread is one of the pool's.
  static bool in_pool();

  /// Stops the pool for a fork: waits until its threads are idle and keeps them so. Returns false,
  /// without doing so, if one is busy for longer than a second.
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
