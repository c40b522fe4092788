// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/backend.hpp>
#include <hoist/parallel_options.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include "memory/dependencies.hpp"

namespace hoist::detail::parallel {

/// Set when a loop must start no more tasks. Loops inside its tasks obey it, too.
struct StopFlag {
  std::atomic<bool> set{false};
  /// When the loop stops by itself; fixed before tasks begin.
  Clock::time_point deadline = Clock::time_point::max();
  /// Who else may stop it: ParallelOptions::stop_token.
  std::stop_token token;
  std::shared_ptr<const StopFlag> outer;

  bool requested() const noexcept {
    for (const StopFlag* flag = this; flag != nullptr; flag = flag->outer.get()) {
      if (flag->set.load(std::memory_order_relaxed)) return true;
      if (flag->deadline != Clock::time_point::max() && Clock::now() >= flag->deadline) return true;
    }
    return false;
  }
};

/// The task that a thread of this process runs, and how long it may take.
struct TaskClock {
  std::atomic<std::size_t> task{0};
  std::atomic<Clock::time_point> began{Clock::time_point::max()};  // max: it runs no task
  Clock::duration limit{};

  Clock::time_point overdue_at() const noexcept {
    const Clock::time_point since = began.load(std::memory_order_relaxed);
    return since == Clock::time_point::max() ? since : since + limit;
  }
};

/// The exception of a task that a loop has thrown. It is owned, so nothing else has its address.
struct ThrownError {
  std::exception_ptr error;
  std::size_t task = 0;
};

/// Where a thread is in a nest of loops, and the defaults that apply there.
struct LoopContext {
  /// 0 outside all loops.
  unsigned level = 0;
  /// The product of the numbers of workers of the surrounding loops.
  unsigned jobs = 1;
  std::shared_ptr<const ParallelOptions> config;
  /// Of the loop whose task the thread runs.
  std::shared_ptr<StopFlag> stop;
  /// Null where its tasks have no time limit.
  const TaskClock* clock = nullptr;
  /// Of the cached computation around the loop; null if there is none.
  std::shared_ptr<memory::DependencyLog> dependencies = {};
  /// For task_index_of. Contexts of tasks end with their batch, so they keep no exception for long.
  ThrownError thrown = {};
};

LoopContext& loop_context() noexcept;

/// The part of a context and of a loop's options that workers in other processes need.
struct TravellingContext {
  unsigned level = 0;
  unsigned jobs = 1;
  std::optional<int> n_jobs;
  std::string backend;
  unsigned inner_threads = 0;
  std::string temp_folder;
  /// The number of the log of dependencies; 0 for none.
  std::uint64_t log = 0;
};
void send_context(const TravellingContext& context, Encoder& to);

/// Makes this the calling thread's context, for good.
void set_context(LoopContext context);

/// Gives the calling thread another context until the end of the scope.
class ContextScope {
 public:
  explicit ContextScope(const LoopContext& context);
  ~ContextScope();
  ContextScope(const ContextScope&) = delete;
  ContextScope& operator=(const ContextScope&) = delete;

 private:
  LoopContext before_;
  memory::Recording recording_before_;
};

}  // namespace hoist::detail::parallel
