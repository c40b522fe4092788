// SPDX-License-Identifier: BSD-3-Clause
#include "os/run_parallel.hpp"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>

#include "os/cpu.hpp"
#include "os/thread_pool.hpp"

namespace hoist::detail::os {

namespace {

class Indices final : public ThreadPool::Job {
 public:
  Indices(std::size_t count, const std::function<void(std::size_t)>& work)
      : count_(count), work_(work) {}

  void help() noexcept override {
    try {
      for (std::size_t i = next_.fetch_add(1); i < count_; i = next_.fetch_add(1)) work_(i);
    } catch (...) {
      next_.store(count_);
      const std::lock_guard lock(mutex_);
      if (!failure_) failure_ = std::current_exception();
    }
  }

  std::exception_ptr failure() {
    const std::lock_guard lock(mutex_);
    return failure_;
  }

 private:
  const std::size_t count_;
  const std::function<void(std::size_t)>& work_;
  std::atomic<std::size_t> next_{0};
  std::mutex mutex_;
  std::exception_ptr failure_;
};

}  // namespace

void run_parallel(std::size_t count, unsigned threads,
                  const std::function<void(std::size_t)>& work) {
  Indices indices(count, work);
  const auto wanted = static_cast<unsigned>(std::min<std::size_t>(count, threads));
  if (wanted > 1) ThreadPool::shared().enlist(indices, wanted - 1);
  indices.help();
  if (wanted > 1) ThreadPool::shared().withdraw(indices);
  if (auto failure = indices.failure()) std::rethrow_exception(failure);
}

unsigned transfer_threads(unsigned asked) {
  return asked != 0 ? asked : static_cast<unsigned>(usable_cores());
}

}  // namespace hoist::detail::os
