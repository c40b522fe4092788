// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/backend.hpp>
#include <hoist/parallel_options.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <optional>

namespace hoist::detail::backends {

/// The ledger of one worker outside this process: the tasks that it has been given and not answered
/// yet. Whatever carries the messages reports here what was given and what came back; the ledger
/// settles the tasks with the loop, so that each is settled exactly once.
///
/// A worker answers its tasks in the order in which it was given them. Used by one thread.
class InFlight {
 public:
  /// Both outlive the ledger.
  InFlight(Loop& loop, Worker& worker)
      : loop_(loop), worker_(worker), is_limited_(loop.options().task_timeout.is_set()) {}

  bool empty() const { return batches_.empty(); }
  /// How many tasks.
  std::size_t size() const { return size_; }
  /// The batch whose first task is the one to be answered next. Not where empty().
  const TaskRange& oldest() const { return batches_.front(); }
  /// The task that is to be answered after `n` others. Empty if there are no more than these.
  std::optional<std::size_t> after(std::uint64_t n) const {
    for (const TaskRange& batch : batches_) {
      if (n < batch.size()) return batch.first + n;
      n -= batch.size();
    }
    return std::nullopt;
  }
  bool has(std::size_t task) const {
    return std::ranges::any_of(batches_, [task](const TaskRange& batch) {
      return batch.first <= task && task < batch.last;
    });
  }
  /// Since when the first task of oldest() can have been running. Kept up to date by answers, and
  /// by append() where the loop looks at times; a backend that knows better says so. Where tasks
  /// have a time limit, not before append() was called for it: answers may be taken long after they
  /// came, and the task that is given next begins no sooner.
  Clock::time_point oldest_since() const { return oldest_since_; }
  void set_oldest_since(Clock::time_point when) { oldest_since_ = when; }

  /// Notes a batch that was given to the worker.
  void add(TaskRange batch) {
    batches_.push_back({batch, {}});
    size_ += batch.size();
  }
  /// Notes one more task, in the newest batch where it comes right behind it.
  void append(std::size_t task) {
    const bool is_timed = is_limited_ || (empty() && loop_.needs_batch_times());
    const Clock::time_point now = is_timed ? Clock::now() : Clock::time_point();
    if (empty() && is_timed) oldest_since_ = now;
    if (is_limited_) {
      batches_.push_back({{task, task + 1}, now});
      ++size_;
    } else if (!empty() && batches_.back().last == task) {
      ++batches_.back().last;
      ++size_;
    } else {
      add({task, task + 1});
    }
  }

  /// Settles the next `count` tasks with these results. They ran one after the other, from `began`
  /// on for `took` in all. Throws DamagedData, and settles none, where `count` is 0 or more than
  /// size().
  void take_results(std::size_t count, TaskResults& results, Clock::time_point began,
                    Clock::duration took);
  /// Settles the next task as failed. Throws DamagedData where there is none.
  void take_error(std::exception_ptr error, Clock::time_point began, Clock::duration took);
  /// What the tasks to be answered next have depended on.
  void take_dependencies(Decoder& from) { loop_.depends_on(from); }
  /// The worker began the oldest batch and returns it from task `first` on, which must be the next
  /// to be answered; DamagedData otherwise.
  void return_oldest(std::size_t first);
  /// Takes back the newest batch, of which the worker has begun nothing.
  void take_back_newest();
  /// Takes back all but the `count` tasks that are to be answered next.
  void take_back_behind(std::size_t count);
  /// Takes back everything: the worker will answer no more.
  void take_back_all();
  /// The worker has died. If it ran a task (`ran`), that was the first of oldest(): it fails with
  /// what `error` returns for it. All others go back to the loop. Returns whether a task failed.
  bool end(bool ran, const std::function<std::exception_ptr(std::size_t task)>& error);
  /// The machine of the worker was lost, and any task may have run there: those fail for which
  /// `error` returns something, all others go back to the loop.
  void end_lost(const std::function<std::exception_ptr(std::size_t task)>& error);

 private:
  struct Batch : TaskRange {
    Clock::time_point given;  // where tasks have a time limit
  };

  /// Removes the next tasks, at most `most`, as far as they are in a row. Not where empty().
  TaskRange pop(std::size_t most);
  /// The answered tasks ended then.
  void note_end(Clock::time_point when);

  Loop& loop_;
  Worker& worker_;
  const bool is_limited_;  // tasks have a time limit
  std::deque<Batch> batches_;
  std::size_t size_ = 0;  // of all batches
  Clock::time_point oldest_since_{};
};

}  // namespace hoist::detail::backends
