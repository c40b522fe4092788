// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/backend.hpp>

#include <atomic>
#include <cstddef>
#include <exception>
#include <mutex>
#include <optional>
#include <vector>

#include "parallel/context.hpp"
#include "parallel/outcomes.hpp"
#include "parallel/settings.hpp"

namespace hoist::detail::parallel {

/// Why a loop ended early.
struct LoopFailure {
  std::exception_ptr error;                        ///< null if it did not
  std::optional<std::size_t> task = std::nullopt;  ///< whose error it is
  bool timed_out = false;                          ///< the loop's time was over
};

/// Ends a loop early: after an error, when its time or that of a task is over, when the loop around
/// it stops, or by order. The first error is the loop's. Thread-safe.
class StopControl {
 public:
  StopControl(const Settings& settings, Outcomes& outcomes);

  bool stopping() const noexcept { return flag_.set.load(std::memory_order_relaxed); }
  /// Starts nothing more.
  void stop();
  /// As stop(), with the reason unless there is one already.
  void fail(LoopFailure failure);
  LoopFailure failure();

  /// Set while batches that run in this process shall return before their next task: the loop
  /// stops, or an idle worker wants a part of them.
  const std::atomic<bool>& attention() const noexcept { return attention_; }
  void interrupt_batches() { attention_.store(true); }
  void resume_batches();

  void set_deadline(Clock::time_point deadline);
  bool has_deadline() const noexcept { return deadline_.has_value(); }
  /// These fail the loop where the time is over, and return whether they did.
  bool check_deadline();
  bool check_all();

  /// A batch whose tasks are held to `task_timeout` by the loop itself, because the backend can't
  /// end them. Registered while it exists.
  class Overseen {
   public:
    Overseen(StopControl& control, const TaskClock& clock);
    ~Overseen();
    Overseen(const Overseen&) = delete;
    Overseen& operator=(const Overseen&) = delete;

   private:
    friend class StopControl;
    StopControl& control_;
    const TaskClock& clock_;
    std::size_t reported_;  // the last task that was found overdue
  };
  /// When to look at overseen tasks next.
  Clock::time_point next_overdue();

 private:
  bool check_outer_loops();
  bool check_overdue();
  void fail_locked(LoopFailure failure);
  bool oversees_tasks() const noexcept {
    return settings_.options.task_timeout.is_set() && !settings_.traits.kills_tasks;
  }

  const Settings& settings_;
  Outcomes& outcomes_;
  StopFlag& flag_;
  std::atomic<bool> attention_{false};
  std::optional<Clock::time_point> deadline_;
  std::mutex mutex_;
  LoopFailure failure_;
  std::vector<Overseen*> overseen_;
};

}  // namespace hoist::detail::parallel
