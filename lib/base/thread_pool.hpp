// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <condition_variable>
#include <functional>
#include <list>
#include <mutex>
#include <thread>
#include <vector>

namespace hoist::detail {

/// The process's persistent threads. A caller always does its own work itself and is joined by
/// threads as they come free, so nested use can't deadlock, however few threads there are.
class ThreadPool {
 public:
  static ThreadPool& instance();
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  /// Runs `work` on the calling thread and on up to `helpers` pool threads at once; returns when all
  /// calls of it have returned. `work` must not throw, and return when nothing is left to do.
  void run(unsigned helpers, const std::function<void()>& work);

 private:
  struct Job {
    const std::function<void()>* work;
    unsigned wanted;   // threads that may still join
    unsigned running;  // threads inside work
    std::condition_variable done;
  };

  ThreadPool() = default;
  void serve();

  std::mutex mutex_;
  std::condition_variable work_;
  std::list<Job*> jobs_;
  std::vector<std::thread> threads_;
  unsigned idle_ = 0;
  bool ending_ = false;
};

}  // namespace hoist::detail
