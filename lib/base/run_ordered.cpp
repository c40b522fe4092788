// SPDX-License-Identifier: BSD-3-Clause
#include "base/run_ordered.hpp"

#include <condition_variable>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

namespace hoist::detail::base {

namespace {

class Ordered {
 public:
  Ordered(unsigned threads, const OrderedWork& work)
      : work_(work), threads_(threads), done_(ordered_slots(threads)) {}
  Ordered(const Ordered&) = delete;
  Ordered& operator=(const Ordered&) = delete;
  ~Ordered() { stop(); }

  void run() {
    bool more = true;
    std::unique_lock lock(mutex_);
    for (;;) {
      if (failure_) {
        lock.unlock();
        stop();
        std::rethrow_exception(failure_);
      }
      if (finished_ < started_ && done_[finished_ % done_.size()]) {
        const std::size_t slot = finished_ % done_.size();
        done_[slot] = false;
        lock.unlock();
        work_.finish(slot);
        lock.lock();
        ++finished_;
      } else if (more && started_ - finished_ < done_.size()) {
        lock.unlock();
        more = work_.start(started_ % done_.size());
        if (more && started_ > helpers_.size() && helpers_.size() + 1 < threads_) add_helper();
        lock.lock();
        if (more) {
          ++started_;
          if (!helpers_.empty()) job_.notify_one();
        }
      } else if (finished_ == started_) {
        return;
      } else if (claimed_ < started_) {
        run_one(lock);
      } else {
        result_.wait(lock, [&] { return failure_ || done_[finished_ % done_.size()]; });
      }
    }
  }

 private:
  void add_helper() {
    try {
      helpers_.emplace_back([this] { help(); });
    } catch (const std::system_error&) {
      threads_ = 1;  // there can be no more threads: those that are there do the work
    }
  }

  void run_one(std::unique_lock<std::mutex>& lock) {
    const std::size_t slot = claimed_++ % done_.size();
    lock.unlock();
    std::exception_ptr failure;
    try {
      work_.work(slot);
    } catch (...) {
      failure = std::current_exception();
    }
    lock.lock();
    if (failure && !failure_) failure_ = failure;
    done_[slot] = true;
  }

  void help() {
    std::unique_lock lock(mutex_);
    for (;;) {
      job_.wait(lock, [&] { return stopping_ || failure_ || claimed_ < started_; });
      if (stopping_ || failure_) return;
      run_one(lock);
      result_.notify_one();
    }
  }

  void stop() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    job_.notify_all();
    helpers_.clear();
  }

  const OrderedWork& work_;
  unsigned threads_;
  std::mutex mutex_;
  std::condition_variable job_;     // a job is ready, or all are done
  std::condition_variable result_;  // a job is done
  // Jobs are counted from the first; a job's slot is its number modulo the number of slots.
  std::size_t started_ = 0;
  std::size_t claimed_ = 0;
  std::size_t finished_ = 0;
  std::vector<char> done_;
  std::exception_ptr failure_;
  bool stopping_ = false;
  std::vector<std::jthread> helpers_;  // last: joined before the others are destroyed
};

}  // namespace

void run_ordered(unsigned threads, const OrderedWork& work) { Ordered(threads, work).run(); }

}  // namespace hoist::detail::base
