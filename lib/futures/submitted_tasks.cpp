// SPDX-License-Identifier: BSD-3-Clause
#include "futures/submitted_tasks.hpp"

#include <hoist/detail/loop_tasks.hpp>
#include <hoist/error.hpp>

#include <atomic>

#include "futures/executor_loop.hpp"

namespace hoist::detail::futures {

namespace {

std::uint64_t next_id() {
  static std::atomic<std::uint64_t> last{0};
  return last.fetch_add(1, std::memory_order_relaxed) + 1;
}

}  // namespace

SubmittedTasks::SubmittedTasks(ExecutorLoop& loop) : loop_(loop), id_(next_id()) {}

SubmittedTasks::~SubmittedTasks() {
  // In a forked child they may be in the midst of a change by a thread of the parent.
  if (is_forked_child()) return;
  for (const auto& future : all()) future->drop_reference();
}

void SubmittedTasks::close() {
  const std::lock_guard lock(mutex_);
  closed_ = true;
}

/// With the lock.
SubmittedTasks::Stretch& SubmittedTasks::begin_stretch(std::size_t number) {
  if (unused_.empty()) {
    owned_.push_back(std::make_unique<Stretch>());
    unused_.push_back(owned_.back().get());
  }
  Stretch& begun = *unused_.back();
  unused_.pop_back();
  begun.left.store(stretch, std::memory_order_relaxed);
  begun.number.store(number, std::memory_order_relaxed);
  stretches_[number] = &begun;
  return begun;
}

/// Most calls of a thread are in the same stretch as its last one.
SubmittedTasks::Stretch& SubmittedTasks::stretch_of(std::size_t task) const {
  thread_local std::uint64_t last_id = 0;
  thread_local Stretch* last = nullptr;
  const std::size_t number = task / stretch;
  if (last_id == id_ && last->number.load(std::memory_order_relaxed) == number) return *last;
  const std::lock_guard lock(mutex_);
  last = stretches_.at(number);
  last_id = id_;
  return *last;
}

Submission& SubmittedTasks::call(std::size_t task) const {
  return *stretch_of(task).calls[task % stretch].load(std::memory_order_relaxed);
}

std::vector<StatePointer<FutureState>> SubmittedTasks::all() const {
  std::vector<StatePointer<FutureState>> futures;
  const std::lock_guard lock(mutex_);
  readers_.fetch_add(1);
  for (const auto& [number, one] : stretches_) {
    for (auto& call : one->calls) {
      // What is found here is not freed before forget() gets the lock.
      Submission* const kept = call.load();
      if (kept == nullptr) continue;
      kept->future().add_reference();
      futures.emplace_back(&kept->future());
    }
  }
  readers_.fetch_sub(1);
  return futures;
}

/// In a child of the backend "fork" results are for the parent.
bool SubmittedTasks::is_forked_child() const { return os::own_process() != process_; }

void SubmittedTasks::forget(std::size_t task) {
  Stretch& its = stretch_of(task);
  Submission& call = *its.calls[task % stretch].exchange(nullptr);
  if (readers_.load() > 0) const std::lock_guard wait_for_readers(mutex_);
  // A thread that runs or cancels it does that itself.
  const Status status = call.future().status();
  if (status != Status::lent && status != Status::settling) call.drop_call();
  call.future().drop_reference();
  if (its.left.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  const std::lock_guard lock(mutex_);
  stretches_.erase(task / stretch);
  unused_.push_back(&its);
}

std::size_t SubmittedTasks::run(TaskRange tasks, TaskRun& run) {
  const bool in_child = loop_.forks() && is_forked_child();
  const CurrentLoop current(&loop_);
  const auto complete = [&](std::size_t task) {
    if (in_child) return;
    Submission& call = this->call(task);
    // Another status: it was cancelled, or runs where somebody waits for it.
    if (call.future().status() == Status::running) {
      call.drop_call();
      call.future().complete(Status::done);
    }
    forget(task);
  };
  const auto make_call = [&](std::size_t task) {
    Submission& call = this->call(task);
    const Status status = call.future().status();
    if (status == Status::running || (in_child && status < Status::lent)) call.run(run.may_repeat);
  };
  if (run.each) {
    // One that took too long has failed before anybody saw its result.
    CompletingRun completing(run, complete);
    return run_tasks(tasks, completing, make_call);
  }
  return run_tasks(tasks, run, [&](std::size_t task) {
    make_call(task);
    complete(task);
  });
}

void SubmittedTasks::decode_result(std::size_t task, Decoder& from) {
  Submission& call = this->call(task);
  if (call.future().status() == Status::running) {
    call.decode_result(from);
    call.drop_call();
    call.future().complete(Status::done);
  }
  forget(task);
}

void SubmittedTasks::taken(TaskRange tasks) {
  for (std::size_t task = tasks.first; task < tasks.last; ++task) {
    call(task).future().claim(Status::running);
  }
}

void SubmittedTasks::failed(std::size_t task, const std::exception_ptr& error) {
  Submission& call = this->call(task);
  if (call.future().status() == Status::running) {
    call.drop_call();
    call.future().set_error(error);
    call.future().complete(Status::failed);
  }
  forget(task);
}

bool SubmittedTasks::is_wanted(std::size_t task) const {
  return call(task).future().status() == Status::running;
}

PortableCode SubmittedTasks::portable(std::size_t task) const {
  if (!is_wanted(task)) throw Cancelled("the call was cancelled");
  return call(task).portable();
}

}  // namespace hoist::detail::futures
