// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/backend.hpp>
#include <hoist/parallel_options.hpp>

#include <atomic>
#include <memory>
#include <optional>
#include <string>

namespace hoist::detail::parallel {

/// Whether a loop has been told to start nothing more. Loops inside of its tasks hear it too.
struct StopFlag {
  std::atomic<bool> set{false};
  /// When it will be told so; fixed before tasks begin.
  Clock::time_point deadline = Clock::time_point::max();
  std::shared_ptr<const StopFlag> outer;

  bool requested() const noexcept {
    for (const StopFlag* flag = this; flag != nullptr; flag = flag->outer.get()) {
      if (flag->set.load(std::memory_order_relaxed)) return true;
      if (flag->deadline != Clock::time_point::max() && Clock::now() >= flag->deadline) return true;
    }
    return false;
  }
};

/// The task that a thread of this process is in, and how long it may take.
struct TaskClock {
  std::atomic<std::size_t> task{0};
  std::atomic<Clock::time_point> began{Clock::time_point::max()};  // max: none
  Clock::duration limit{};

  Clock::time_point overdue_at() const noexcept {
    const Clock::time_point since = began.load(std::memory_order_relaxed);
    return since == Clock::time_point::max() ? since : since + limit;
  }
};

/// Where in a nest of loops a thread is, and the defaults that hold there.
struct LoopContext {
  /// 0 outside all loops.
  unsigned level = 0;
  /// Workers of the loops around, multiplied.
  unsigned jobs = 1;
  std::shared_ptr<const ParallelOptions> config;
  /// Of the loop that the thread runs a task of.
  std::shared_ptr<StopFlag> stop;
  /// Where its tasks have a time limit.
  const TaskClock* clock = nullptr;
};

LoopContext& loop_context() noexcept;

/// What of it, and of the loop's options, a worker of another process has to know.
struct TravellingContext {
  unsigned level = 0;
  unsigned jobs = 1;
  std::optional<int> n_jobs;
  std::string backend;
  unsigned inner_threads = 0;
  unsigned mmap_mode = 0;
  std::string temp_folder;
};
void send_context(const TravellingContext& context, Encoder& to);

/// Puts this thread into another context for a scope.
class ContextScope {
 public:
  explicit ContextScope(const LoopContext& context);
  ~ContextScope();
  ContextScope(const ContextScope&) = delete;
  ContextScope& operator=(const ContextScope&) = delete;

 private:
  LoopContext before_;
};

}  // namespace hoist::detail::parallel
