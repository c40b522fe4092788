// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/asio_group.hpp>
#include <hoist/detail/future_calls.hpp>
#include <hoist/error.hpp>
#include <hoist/outcome.hpp>

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>

#include <cstddef>
#include <exception>
#include <memory>
#include <optional>
#include <ranges>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

// What gather(), as_completed() and wait_for() are made of.

namespace hoist::detail {

template <class T>
struct AwaitedBy {};
template <class T>
struct AwaitedBy<asio::awaitable<T>> {
  using type = T;
};
template <class Range>
concept AwaitableRange = std::ranges::input_range<Range> &&
                         requires { typename AwaitedBy<std::ranges::range_value_t<Range>>::type; };
template <AwaitableRange Range>
using AwaitedOf = typename AwaitedBy<std::ranges::range_value_t<Range>>::type;

/// Keeps what a task returns. `owner` has the place for it.
template <class T, class Owner>
asio::awaitable<void> keep_result(asio::awaitable<T> task, std::shared_ptr<Owner> /*owner*/,
                                  std::optional<Kept<T>>* to) {
  if constexpr (std::is_void_v<T>) {
    co_await std::move(task);
    to->emplace();
  } else {
    to->emplace(co_await std::move(task));
  }
}

[[noreturn]] inline void throw_aborted() {
  throw boost::system::system_error(asio::error::operation_aborted);
}
inline bool is_aborted(const std::exception_ptr& error) noexcept {
  try {
    std::rethrow_exception(error);
  } catch (const boost::system::system_error& e) {
    return e.code() == asio::error::operation_aborted;
  } catch (...) {
    return false;
  }
}

/// The coroutines of a range.
template <class Range>
auto tasks_of(Range&& range) {
  std::vector<std::ranges::range_value_t<Range>> tasks;
  for (auto&& task : range) tasks.push_back(std::move(task));
  return tasks;
}

/// Several coroutines with results of one type.
template <class T>
struct Tasks {
  using Results = std::vector<std::optional<Kept<T>>>;

  Tasks(const asio::any_io_executor& executor, std::vector<asio::awaitable<T>> tasks)
      : group(std::make_shared<TaskGroup>(executor, tasks.size())),
        results(std::make_shared<Results>(tasks.size())) {
    for (std::size_t i = 0; i < tasks.size(); ++i) {
      group->start(i, keep_result<T>(std::move(tasks[i]), results, &(*results)[i]));
    }
  }

  const std::shared_ptr<TaskGroup> group;
  const std::shared_ptr<Results> results;
};

/// The first error of several coroutines, or that they were cancelled.
inline void check_group(const TaskGroup& group) {
  if (group.is_cancelled()) throw_aborted();
  if (const std::exception_ptr error = group.first_error()) std::rethrow_exception(error);
}

template <class T>
asio::awaitable<std::vector<Kept<T>>> gather_results(std::vector<asio::awaitable<T>> given) {
  const Tasks<T> tasks(co_await asio::this_coro::executor, std::move(given));
  co_await tasks.group->wait(TaskGroup::Until::error);
  check_group(*tasks.group);
  std::vector<Kept<T>> values;
  values.reserve(tasks.results->size());
  for (auto& result : *tasks.results) values.push_back(*std::move(result));
  co_return values;
}

template <class T>
asio::awaitable<std::vector<Outcome<T>>> gather_outcomes(std::vector<asio::awaitable<T>> given,
                                                         bool return_exceptions) {
  using Until = TaskGroup::Until;
  const Tasks<T> tasks(co_await asio::this_coro::executor, std::move(given));
  co_await tasks.group->wait(return_exceptions ? Until::all : Until::error);
  if (!return_exceptions || tasks.group->is_cancelled()) check_group(*tasks.group);
  std::vector<Outcome<T>> outcomes;
  outcomes.reserve(tasks.results->size());
  for (std::size_t i = 0; i < tasks.results->size(); ++i) {
    outcomes.emplace_back(std::move((*tasks.results)[i]), tasks.group->error(i), i, 1U,
                          tasks.group->seconds(i));
  }
  co_return outcomes;
}

template <class... T>
asio::awaitable<std::tuple<Kept<T>...>> gather_tuple(asio::awaitable<T>... tasks) {
  const auto results = std::make_shared<std::tuple<std::optional<Kept<T>>...>>();
  const auto group = std::make_shared<TaskGroup>(co_await asio::this_coro::executor, sizeof...(T));
  std::apply(
      [&](auto&... places) {
        [[maybe_unused]] std::size_t number = 0;
        (group->start(number++, keep_result<T>(std::move(tasks), results, &places)), ...);
      },
      *results);
  co_await group->wait(TaskGroup::Until::error);
  check_group(*group);
  co_return std::apply(
      [](auto&... places) { return std::tuple<Kept<T>...>(*std::move(places)...); }, *results);
}

/// Has the time of the group end at the deadline, as long as the timer lives.
inline void limit_time(asio::steady_timer& timer, Deadline deadline,
                       const std::shared_ptr<TaskGroup>& group, bool stops_tasks) {
  if (deadline == Deadline::max()) return;
  timer.expires_at(deadline);
  timer.async_wait([group = std::weak_ptr(group), stops_tasks](boost::system::error_code error) {
    if (const auto kept = group.lock(); kept && !error) kept->expire(stops_tasks);
  });
}

template <class T>
asio::awaitable<T> wait_for(asio::awaitable<T> task, TimeLimit timeout) {
  const auto executor = co_await asio::this_coro::executor;
  asio::steady_timer timer(executor);
  std::vector<asio::awaitable<T>> one;
  one.push_back(std::move(task));
  const Deadline deadline = deadline_of(timeout);
  const Tasks<T> tasks(executor, std::move(one));
  limit_time(timer, deadline, tasks.group, true);
  co_await tasks.group->wait(TaskGroup::Until::all);
  const std::exception_ptr error = tasks.group->first_error();
  if (error && tasks.group->is_expired() && !tasks.group->is_cancelled() && is_aborted(error)) {
    throw TimedOut("what was awaited was not done in time, and was cancelled");
  }
  check_group(*tasks.group);
  if constexpr (!std::is_void_v<T>) co_return *std::move(tasks.results->front());
}

/// What as_completed() returns.
template <class T>
class CompletedTasks {
 public:
  CompletedTasks(std::vector<asio::awaitable<T>> tasks, TimeLimit timeout)
      : given_(std::move(tasks)), timeout_(timeout) {}

  asio::awaitable<std::optional<Kept<T>>> next() {
    if (!tasks_) {
      const auto executor = co_await asio::this_coro::executor;
      const Deadline deadline = deadline_of(timeout_);
      tasks_.emplace(executor, std::exchange(given_, {}));
      limit_time(timer_.emplace(executor), deadline, tasks_->group, false);
    }
    const std::shared_ptr<TaskGroup> group = tasks_->group;
    co_await group->wait(TaskGroup::Until::next);
    const std::optional<std::size_t> number = group->take_ended();
    if (!number) {
      if (const std::size_t left = group->left(); left > 0) {
        throw TimedOut("as_completed: the time was over when " + std::to_string(left) +
                       " were not done");
      }
      co_return std::nullopt;
    }
    if (const std::exception_ptr error = group->error(*number)) std::rethrow_exception(error);
    co_return std::move((*tasks_->results)[*number]);
  }

 private:
  std::vector<asio::awaitable<T>> given_;
  TimeLimit timeout_;
  std::optional<Tasks<T>> tasks_;
  std::optional<asio::steady_timer> timer_;
};

}  // namespace hoist::detail
