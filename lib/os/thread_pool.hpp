// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <vector>

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
  /// Whose functions a thread beside the pool calls.
  enum class Calls { hoist, user };
  /// Runs another part of hoist in a thread beside the pool, which counts as one of hoist's own: it
  /// must hold no lock that a child could need. When it returns the thread waits for the next such
  /// part, since one that ends would still be there for a moment when it counts no longer. Throws
  /// SystemError if there can be no more threads.
  static void start_beside(const char* name, std::function<void()> body,
                           Calls calls = Calls::hoist);
  /// Whether a thread of the pool is at work, or one beside it that `calls` the user's code.
  bool may_call_user();
  /// Whether the calling thread is one of the pool's.
  static bool in_pool();

  /// Stops the pool for a fork: waits until its threads are idle and keeps them so. Returns false,
  /// without doing so, if one is busy for longer than a second.
  bool hold_for_fork();
  void release_in_parent();

 private:
  ThreadPool() = default;
  /// A thread beside the pool, between two parts.
  struct Resting {
    std::function<void()> next;
    const char* name = nullptr;
    std::condition_variable called;
  };

  void thread();
  [[noreturn]] void run_beside(std::function<void()> body);

  std::mutex mutex_;
  std::condition_variable work_;
  std::condition_variable left_;
  std::condition_variable rested_;
  std::deque<Job*> queue_;
  std::atomic<std::size_t> queued_{0};
  unsigned idle_ = 0;
  unsigned threads_ = 0;
  std::atomic<std::size_t> others_{0};
  std::atomic<std::size_t> calling_{0};  // of these, those that call the user's code
  std::vector<Resting*> resting_;
};

}  // namespace hoist::detail::os
