// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/asio_pending.hpp>
#include <hoist/detail/asio_result.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/strand.hpp>

#include <chrono>
#include <cstddef>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

// Several coroutines at a time.

namespace hoist::detail {

/// Coroutines that were started, and one that waits for them. Each has a strand of its own: there
/// it can be cancelled, which Asio allows only where it runs, and yet run while others do.
class TaskGroup : public std::enable_shared_from_this<TaskGroup> {
 public:
  enum class Until {
    next,   ///< one has ended that take_ended() has not returned
    error,  ///< all have ended, or one with an error; after cancel() all
    all,
  };

  TaskGroup(const asio::any_io_executor& executor, std::size_t n) : left_(n) {
    for (std::size_t i = 0; i < n; ++i) tasks_.emplace_back(executor);
  }

  void start(std::size_t number, asio::awaitable<void> task) {
    Task& its = tasks_[number];
    its.start = Clock::now();
    asio::co_spawn(
        its.strand, std::move(task),
        asio::bind_cancellation_slot(its.signal.slot(),
                                     [self = shared_from_this(), number](std::exception_ptr error) {
                                       self->end(number, std::move(error));
                                     }));
  }

  /// Completes once that is so. Cancelling it cancels the tasks, for which it still waits; but not
  /// with `next`, where it only ends.
  asio::awaitable<void> wait(Until until) {
    return initiate<void>(InitiateWait(), asio::use_awaitable, shared_from_this(), until);
  }
  /// Cancels those that run.
  void cancel() {
    const std::lock_guard lock(mutex_);
    cancelled_ = true;
    stop_tasks();
  }
  /// Their time is over: likewise, or only wait(Until::next) ends.
  void expire(bool stops_tasks) {
    const std::lock_guard lock(mutex_);
    expired_ = true;
    if (stops_tasks) stop_tasks();
    wake();
  }

  bool is_cancelled() const {
    const std::lock_guard lock(mutex_);
    return cancelled_;
  }
  bool is_expired() const {
    const std::lock_guard lock(mutex_);
    return expired_;
  }
  std::exception_ptr first_error() const {
    const std::lock_guard lock(mutex_);
    return first_error_;
  }
  /// The next one that has ended, in the order in which they did.
  std::optional<std::size_t> take_ended() {
    const std::lock_guard lock(mutex_);
    if (ended_.empty()) return std::nullopt;
    const std::size_t number = ended_.front();
    ended_.pop_front();
    return number;
  }
  /// How many have not ended, or were not taken.
  std::size_t left() const {
    const std::lock_guard lock(mutex_);
    return left_ + ended_.size();
  }
  // Of one that has ended.
  std::exception_ptr error(std::size_t number) const { return tasks_[number].error; }
  double seconds(std::size_t number) const { return tasks_[number].seconds; }

 private:
  using Clock = std::chrono::steady_clock;

  struct Task {
    explicit Task(const asio::any_io_executor& executor) : strand(asio::make_strand(executor)) {}

    asio::strand<asio::any_io_executor> strand;
    asio::cancellation_signal signal;  // both of them in the strand
    bool ended = false;
    std::exception_ptr error;
    Clock::time_point start;
    double seconds = 0;
  };

  template <class Handler>
  class Waiter final : public PendingHandler<Handler> {
   public:
    Waiter(Handler handler, const std::shared_ptr<TaskGroup>& group, Until until)
        : PendingHandler<Handler>(std::move(handler)), group_(group), until_(until) {}

   private:
    void cancel() noexcept override {
      if (until_ == Until::next) {
        this->post(this->aborted());
      } else if (const std::shared_ptr<TaskGroup> group = group_.lock()) {
        group->cancel();
      }
    }
    void call_handler(StatePointer<Pending> self) override {
      Handler handler = this->take_handler();
      std::exception_ptr error = std::move(this->error_);
      self = {};
      std::move(handler)(std::move(error));
    }

    const std::weak_ptr<TaskGroup> group_;  // which has the handler
    const Until until_;
  };

  struct InitiateWait {
    template <class Handler>
    void operator()(Handler&& handler, const std::shared_ptr<TaskGroup>& group, Until until) const {
      auto* const waiter =
          new Waiter<std::decay_t<Handler>>(std::forward<Handler>(handler), group, until);
      StatePointer<Pending> kept(waiter);
      waiter->enlist();
      const std::lock_guard lock(group->mutex_);
      group->waiter_ = std::move(kept);
      group->until_ = until;
      group->wake();
    }
  };

  void end(std::size_t number, std::exception_ptr error) {
    Task& task = tasks_[number];
    const std::lock_guard lock(mutex_);
    task.ended = true;
    task.seconds = std::chrono::duration<double>(Clock::now() - task.start).count();
    if (error && !first_error_) first_error_ = error;
    task.error = std::move(error);
    ended_.push_back(number);
    --left_;
    wake();
  }
  /// With the lock, as the next one.
  void stop_tasks() {
    for (Task& task : tasks_) {
      if (task.ended) continue;
      asio::post(task.strand, [self = shared_from_this(), &task] {
        if (!task.ended) task.signal.emit(asio::cancellation_type::terminal);
      });
    }
  }
  void wake() {
    const bool stops = until_ == Until::next    ? !ended_.empty() || expired_
                       : until_ == Until::error ? first_error_ && !cancelled_
                                                : false;
    if (!waiter_ || (left_ > 0 && !stops)) return;
    std::exchange(waiter_, {})->post();
  }

  mutable std::mutex mutex_;
  std::deque<Task> tasks_;
  std::deque<std::size_t> ended_;
  std::size_t left_;
  std::exception_ptr first_error_;
  bool cancelled_ = false;
  bool expired_ = false;
  StatePointer<Pending> waiter_;
  Until until_ = Until::all;
};

}  // namespace hoist::detail
