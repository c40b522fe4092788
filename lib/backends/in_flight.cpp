// SPDX-License-Identifier: BSD-3-Clause
#include "backends/in_flight.hpp"

#include <hoist/error.hpp>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace hoist::detail::backends {

namespace {

double in_seconds(Clock::duration duration) {
  return std::chrono::duration<double>(duration).count();
}

}  // namespace

TaskRange InFlight::pop(std::size_t most) {
  TaskRange& front = batches_.front();
  const TaskRange tasks{front.first, front.first + std::min(most, front.size())};
  front.first = tasks.last;
  if (front.size() == 0) batches_.pop_front();
  size_ -= tasks.size();
  return tasks;
}

void InFlight::note_end(Clock::time_point when) {
  oldest_since_ = empty() ? when : std::max(when, batches_.front().given);
}

void InFlight::take_results(std::size_t count, TaskResults& results, Clock::time_point began,
                            Clock::duration took) {
  if (count == 0 || count > size_) {
    throw DamagedData("a worker sent " + std::to_string(count) + " results at once while it had " +
                      std::to_string(size_) + " tasks");
  }
  const double seconds = in_seconds(took);
  for (std::size_t left = count; left > 0;) {
    const TaskRange tasks = pop(left);
    left -= tasks.size();
    const double part = static_cast<double>(tasks.size()) / static_cast<double>(count);
    if (left == 0) note_end(began + took);  // before the loop looks
    loop_.arrived(tasks, worker_, results, began, part * seconds);
  }
}

void InFlight::take_error(std::exception_ptr error, Clock::time_point began, Clock::duration took) {
  if (empty()) throw DamagedData("a worker sent the error of a task while it had none");
  const std::size_t task = pop(1).first;
  note_end(began + took);
  loop_.failed(task, worker_, std::move(error), began, in_seconds(took));
}

void InFlight::return_oldest(std::size_t first) {
  if (empty() || oldest().first != first) {
    throw DamagedData("a worker returned task " + std::to_string(first) +
                      ", which is not the next of those it had");
  }
  loop_.give_back(pop(oldest().size()));
}

void InFlight::take_back_newest() {
  const TaskRange tasks = batches_.back();
  batches_.pop_back();
  size_ -= tasks.size();
  loop_.give_back(tasks);
}

void InFlight::take_back_behind(std::size_t count) {
  std::vector<TaskRange> back;
  while (size_ > count) {
    TaskRange& newest = batches_.back();
    const std::size_t n = std::min(newest.size(), size_ - count);
    newest.last -= n;
    size_ -= n;
    back.push_back({newest.last, newest.last + n});
    if (newest.size() == 0) batches_.pop_back();
  }
  for (const TaskRange& tasks : back) loop_.give_back(tasks);
}

void InFlight::take_back_all() {
  size_ = 0;
  for (const TaskRange& tasks : std::exchange(batches_, {})) loop_.give_back(tasks);
}

bool InFlight::end(bool ran, const std::function<std::exception_ptr(std::size_t task)>& error) {
  const bool fails = ran && !empty();
  if (fails) {
    std::exception_ptr reason =
        error(oldest().first);  // may throw: before the task leaves the ledger
    loop_.failed(pop(1).first, worker_, std::move(reason), oldest_since_,
                 in_seconds(Clock::now() - oldest_since_));
  }
  take_back_all();
  return fails;
}

void InFlight::end_lost(const std::function<std::exception_ptr(std::size_t task)>& error) {
  std::vector<std::pair<std::size_t, std::exception_ptr>> failed;
  std::vector<TaskRange> back;
  for (const TaskRange& batch : std::exchange(batches_, {})) {
    for (std::size_t task = batch.first; task < batch.last; ++task) {
      if (auto reason = error(task)) {
        failed.emplace_back(task, std::move(reason));
      } else if (!back.empty() && back.back().last == task) {
        ++back.back().last;
      } else {
        back.push_back({task, task + 1});
      }
    }
  }
  size_ = 0;
  for (auto& [task, reason] : failed)
    loop_.failed(task, worker_, std::move(reason), oldest_since_, 0);
  for (const TaskRange& tasks : back) loop_.give_back(tasks);
}

}  // namespace hoist::detail::backends
