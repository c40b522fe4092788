// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/backend.hpp>
#include <hoist/error.hpp>
#include <hoist/parallel.hpp>

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>

#include "base/cpu.hpp"

namespace hoist::detail {

namespace {

using Clock = std::chrono::steady_clock;

/// Batches grow until they take about this long: far above the cost of taking one (some 50 ns), far
/// below what it hurts to wait for the last one.
constexpr auto batch_time = std::chrono::microseconds(100);
/// No batch takes more than this part of what is left for each worker, so that all end together.
constexpr std::size_t least_batches_left = 4;

class IndexLoop final : public Loop {
 public:
  IndexLoop(const LoopCall& call, int n_jobs)
      : call_(call), share_(static_cast<std::size_t>(n_jobs) * least_batches_left) {}

  std::optional<Batch> next(Worker& worker) override {
    const auto now = Clock::now();
    if (worker.started != Clock::time_point{}) {
      const auto took = now - worker.started;
      if (took < batch_time / 2) {
        worker.batch_size *= 2;
      } else if (took > batch_time * 2) {
        worker.batch_size = std::max<std::size_t>(worker.batch_size / 2, 1);
      }
    }
    worker.started = now;
    const std::size_t taken = next_.load(std::memory_order_relaxed);
    if (taken >= call_.size) return std::nullopt;
    const std::size_t fair = std::max<std::size_t>((call_.size - taken) / share_, 1);
    worker.batch_size = std::min(worker.batch_size, fair);
    const std::size_t begin = next_.fetch_add(worker.batch_size, std::memory_order_relaxed);
    if (begin >= call_.size) return std::nullopt;
    return Batch{begin, std::min(begin + worker.batch_size, call_.size)};
  }

  void run(Batch batch) noexcept override {
    std::size_t at = batch.begin;
    try {
      call_.run(call_.context, at, batch.end);
    } catch (...) {
      next_.store(call_.size, std::memory_order_relaxed);
      const std::lock_guard lock(mutex_);
      if (!failure_) failure_ = std::current_exception();
    }
  }

  void rethrow() {
    if (failure_) std::rethrow_exception(failure_);
  }

 private:
  const LoopCall& call_;
  const std::size_t share_;
  std::atomic<std::size_t> next_{0};
  std::mutex mutex_;
  std::exception_ptr failure_;
};

int jobs_of(const ParallelOptions& options) {
  const int asked = options.n_jobs.value_or(-1);
  if (asked == 0) {
    throw BadArgument("n_jobs = 0 has no meaning: give a number of jobs, or -1 for one a core");
  }
  return asked > 0 ? asked : std::max(usable_cores() + 1 + asked, 1);
}

Backend& backend_of(const ParallelOptions& options) {
  return find_backend(options.backend.empty() ? "threads" : options.backend);
}

}  // namespace

void check_options(const ParallelOptions& options) {
  jobs_of(options);
  backend_of(options);
}

void run_loop(const ParallelOptions& options, const LoopCall& call) {
  if (call.size == 0) return;
  const int jobs = static_cast<int>(
      std::min<std::size_t>(static_cast<std::size_t>(jobs_of(options)), call.size));
  IndexLoop loop(call, jobs);
  backend_of(options).run(loop, jobs);
  loop.rethrow();
}

}  // namespace hoist::detail
