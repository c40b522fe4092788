// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/backend.hpp>
#include <hoist/detail/submission.hpp>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "os/fork_hook.hpp"
#include "os/process_id.hpp"

namespace hoist::detail::futures {

class ExecutorLoop;

/// The tasks of a loop that stays open: calls that were submitted, each of which completes its
/// future itself. A call is kept until it is over, or until a worker comes across it if it was
/// cancelled before.
class SubmittedTasks final : public LoopTasks {
 public:
  explicit SubmittedTasks(ExecutorLoop& loop);
  ~SubmittedTasks() override;

  /// Takes over a reference to the call's future, and calls `release(count)` with the number of all
  /// tasks by now. False, and does neither, after close().
  template <class Release>
  bool append(Submission& call, Release&& release);
  void close();
  /// The futures of all calls that are kept.
  std::vector<StatePointer<FutureState>> all() const;

  std::size_t run(TaskRange tasks, TaskRun& run) override;
  bool read() override { return false; }
  /// Each call tells by itself.
  void check_results() const override {}
  void encode_result(std::size_t task, Encoder& to) override { call(task).encode_result(to); }
  void decode_result(std::size_t task, Decoder& from) override;
  void discard_result(std::size_t task) override { call(task).discard_result(); }
  void taken(TaskRange tasks) override;
  bool is_wanted(std::size_t task) const override;
  void failed(std::size_t task, const std::exception_ptr& error) override;
  /// Throws Cancelled if it was: it then fails, which nobody sees.
  PortableCode portable(std::size_t task) const override;
  void encode_callable(Encoder&) const override {}
  void encode_task(std::size_t task, Encoder& to) const override { call(task).encode(to); }

 private:
  static constexpr std::size_t stretch = 512;
  /// Consecutive calls. Used again when all are over, but not freed before the loop, so that
  /// threads may look at one that they remember.
  struct Stretch {
    std::atomic<std::size_t> number{0};
    std::array<std::atomic<Submission*>, stretch> calls{};
    std::atomic<std::size_t> left{0};  // that are not over, or not there yet
  };

  Stretch& begin_stretch(std::size_t number);
  Stretch& stretch_of(std::size_t task) const;
  Submission& call(std::size_t task) const;
  /// Forgets a call that is over.
  void forget(std::size_t task);
  bool is_forked_child() const;

  ExecutorLoop& loop_;
  const std::uint64_t id_;
  const os::ProcessId process_ = os::own_process();
  // What submitters write is apart from what workers read.
  alignas(64) mutable std::mutex mutex_;
  mutable std::atomic<unsigned> readers_{0};  // of all calls: those that are over wait for them
  std::unordered_map<std::size_t, Stretch*> stretches_;
  std::vector<std::unique_ptr<Stretch>> owned_;
  std::vector<Stretch*> unused_;
  Stretch* newest_ = nullptr;
  std::size_t count_ = 0;
  bool closed_ = false;
  // A worker that is forked looks calls up, while threads of its parent submit more.
  os::ForkHook fork_hook_{mutex_};
};

template <class Release>
bool SubmittedTasks::append(Submission& call, Release&& release) {
  const std::lock_guard lock(mutex_);
  if (closed_) return false;
  if (count_ % stretch == 0) newest_ = &begin_stretch(count_ / stretch);
  call.task = count_;
  newest_->calls[count_ % stretch].store(&call, std::memory_order_relaxed);
  release(++count_);
  return true;
}

}  // namespace hoist::detail::futures
