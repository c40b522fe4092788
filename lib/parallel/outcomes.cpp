// SPDX-License-Identifier: BSD-3-Clause
#include "parallel/outcomes.hpp"

namespace hoist::detail::parallel {

void Outcomes::complete(std::size_t task, double seconds) {
  recorded_.fetch_add(1);
  const std::lock_guard lock(mutex_);
  if (marks_done_) {
    if (marked_.size() <= task) marked_.resize(task + 1);
    marked_[task] = true;
    return;
  }
  TaskAccount& account = accounts_[task];
  account.done = true;
  account.seconds = seconds;
  account.attempts = 1;
  if (const auto before = failed_attempts_.find(task); before != failed_attempts_.end()) {
    account.attempts += before->second;
    failed_attempts_.erase(before);
  }
  if (deliver_ == Deliver::as_completed) completed_.push_back(task);
}

Outcomes::Verdict Outcomes::fail(std::size_t task, const std::exception_ptr& error, double seconds,
                                 bool may_retry) {
  const std::lock_guard lock(mutex_);
  const unsigned attempts = ++failed_attempts_[task];
  if (attempts <= retries_ && may_retry) return Verdict::retry;
  failed_attempts_.erase(task);
  failed_.fetch_add(1);
  if (failure_is_fatal()) return Verdict::fatal;
  if (deliver_ == Deliver::futures) return Verdict::recorded;
  if (deliver_ == Deliver::outcomes) {
    accounts_[task] = {attempts, seconds, error, false};
  } else {
    failures_[task] = {task, attempts, error};
    if (tracks_tasks()) accounts_[task] = {attempts, seconds, nullptr, false};
    if (deliver_ == Deliver::as_completed) completed_.push_back(task);
  }
  return Verdict::recorded;
}

unsigned Outcomes::attempt(std::size_t task) {
  if (retries_ == 0) return 1;
  const std::lock_guard lock(mutex_);
  return failures_of(task) + 1;
}

std::size_t Outcomes::alike(TaskRange tasks) {
  if (retries_ == 0 || tasks.size() == 1) return tasks.last;
  const std::lock_guard lock(mutex_);
  if (failed_attempts_.empty()) return tasks.last;
  std::size_t end = tasks.first + 1;
  while (end < tasks.last && failures_of(end) == failures_of(tasks.first)) ++end;
  return end;
}

bool Outcomes::has_retries_left(std::size_t task) {
  const std::lock_guard lock(mutex_);
  return failures_of(task) < retries_;
}

/// How often it has failed. Under the mutex.
unsigned Outcomes::failures_of(std::size_t task) const {
  const auto found = failed_attempts_.find(task);
  return found != failed_attempts_.end() ? found->second : 0;
}

std::vector<TaskFailure> Outcomes::failures() {
  const std::lock_guard lock(mutex_);
  std::vector<TaskFailure> all;
  for (const auto& [task, failure] : failures_) all.push_back(failure);
  return all;
}

TaskAccount Outcomes::account(std::size_t task) {
  const std::lock_guard lock(mutex_);
  TaskAccount account;
  if (!tracks_tasks()) {
    account.done = marks_done_ ? task < marked_.size() && marked_[task] : !failures_.contains(task);
  }
  const auto found = accounts_.find(task);
  return found != accounts_.end() ? found->second : account;
}

}  // namespace hoist::detail::parallel
