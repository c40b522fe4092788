// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/delayed.hpp>
#include <hoist/detail/loop_driver.hpp>
#include <hoist/detail/loop_tasks.hpp>
#include <hoist/detail/tuple_tasks.hpp>
#include <hoist/generator.hpp>
#include <hoist/outcome.hpp>
#include <hoist/parallel_options.hpp>

#include <concepts>
#include <cstddef>
#include <ranges>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

namespace hoist {

namespace detail {

template <class Range>
concept DelayedRange = std::ranges::input_range<Range> &&
                       is_delayed<std::remove_cvref_t<std::ranges::range_value_t<Range>>>;

template <class Range>
using DelayedResult =
    std::decay_t<std::invoke_result_t<std::remove_cvref_t<std::ranges::range_value_t<Range>>&>>;

/// What f gives for an item as it is held: elements in memory in place, others by value.
template <class F, class Range>
constexpr auto mapped_result() {
  using Reference = std::ranges::range_reference_t<Range>;
  static_assert(std::is_invocable_v<F&, Reference> ||
                    std::is_invocable_v<F&, std::ranges::range_value_t<Range>>,
                "map(range, f): f can't be called with an element of the range");
  if constexpr (std::is_lvalue_reference_v<Reference> && std::ranges::forward_range<Range>) {
    return std::type_identity<std::decay_t<std::invoke_result_t<F&, Reference>>>{};
  } else {
    using Item = std::ranges::range_value_t<Range>;
    if constexpr (ReadInPlace<Range> || !std::is_invocable_v<F&, Item&>) {
      return std::type_identity<std::decay_t<std::invoke_result_t<F&, Item>>>{};
    } else {
      return std::type_identity<std::decay_t<std::invoke_result_t<F&, Item&>>>{};
    }
  }
}
template <class F, class Range>
using MappedResult = typename decltype(mapped_result<F, Range>())::type;

/// What is handed out when a loop is over.
template <class R, bool Outcomes, class Take>
auto deliver(LoopDriver& driver, Take&& take_result, auto&& take_all) {
  if constexpr (Outcomes) {
    std::vector<Outcome<R>> outcomes;
    outcomes.reserve(driver.tasks());
    for (std::size_t i = 0; i < driver.tasks(); ++i) {
      const TaskAccount account = driver.account(i);
      std::optional<Kept<R>> value;
      if (account.done) value.emplace(take_result(i));
      outcomes.emplace_back(std::move(value), account.error, i, account.attempts, account.seconds);
    }
    return outcomes;
  } else {
    if (auto failures = driver.failures(); !failures.empty()) {
      LoopErrors errors(failures, driver.tasks());
      if constexpr (!std::is_void_v<R>) {
        std::vector<std::optional<R>> results(driver.tasks());
        auto failure = failures.begin();
        for (std::size_t i = 0; i < results.size(); ++i) {
          if (failure != failures.end() && failure->index == i) {
            ++failure;
          } else {
            results[i].emplace(take_result(i));
          }
        }
        errors.set_results(std::move(results));
      }
      throw errors;
    }
    if constexpr (!std::is_void_v<R>) {
      std::vector<R> results;
      if constexpr (std::is_same_v<R, bool>) {
        for (const bool value : take_all()) results.push_back(value);
      } else {
        results = take_all();
      }
      return results;
    }
  }
}

template <class R, bool Outcomes, class Range, class Calls>
auto run_loop(const ParallelOptions& options, Range& range, Calls&& calls) {
  constexpr Deliver how = Outcomes ? Deliver::outcomes : Deliver::all;
  if constexpr (ReadInPlace<Range&>) {
    const auto count = static_cast<std::size_t>(std::ranges::size(range));
    IndexedTasks<std::ranges::iterator_t<Range>, std::remove_cvref_t<Calls>, R> tasks(
        std::ranges::begin(range), count, std::forward<Calls>(calls));
    LoopDriver driver(options, tasks, count, how);
    driver.run();
    return deliver<R, Outcomes>(
        driver, [&](std::size_t i) { return tasks.results.take(i); },
        [&] { return tasks.results.take_all(); });
  } else {
    ReadTasks<Range&, std::remove_cvref_t<Calls>, R> tasks(range, std::forward<Calls>(calls));
    LoopDriver driver(options, tasks, unread, how);
    driver.run();
    return deliver<R, Outcomes>(
        driver, [&](std::size_t i) { return tasks.take(i); },
        [&] {
          std::vector<Kept<R>> all;
          all.reserve(driver.tasks());
          for (std::size_t i = 0; i < driver.tasks(); ++i) all.push_back(tasks.take(i));
          return all;
        });
  }
}

}  // namespace detail

/// Runs loops in parallel:
///
///     std::vector<double> roots = Parallel({.n_jobs = 4}).map(numbers, [](double x) { ... });
///     auto scores = Parallel()(tasks);  // tasks: any input range of delayed(f)(args...)
///     auto [a, b] = Parallel()(delayed(f)(1), delayed(g)("x"));
///
/// Results come in the order of the input. The first failure stops the loop and is thrown with its
/// own type; when a call returns or throws, nothing of its loop runs any more. An input that lies in
/// memory (or is std::views::iota) is read in place by the workers; any other, which may be infinite
/// or single-pass, is read lazily by the calling thread, `pre_dispatch` ahead of the workers. What
/// reading it throws is thrown here.
///
/// Thread-safe: one object may be used from many threads. Objects are cheap; workers are shared and
/// kept by the backends. Throws BadArgument for options that can't be met, and TimedOut.
class Parallel {
 public:
  /// Throws BadArgument for options that can't be met.
  explicit Parallel(ParallelOptions options = {}) : options_(std::move(options)) {
    detail::check_options(options_);
  }

  /// Makes the calls of a range of delayed; a vector of their results, or nothing if they return
  /// void.
  template <std::ranges::input_range Range>
    requires detail::DelayedRange<Range>
  auto operator()(Range&& tasks) const {
    return detail::run_loop<detail::DelayedResult<Range>, false>(options_, tasks,
                                                                 detail::DelayedCalls{});
  }

  /// Makes a few calls of any types; a tuple of their results (std::monostate for void).
  template <class... Calls>
    requires(sizeof...(Calls) > 0 && (detail::is_delayed<std::remove_cvref_t<Calls>> && ...))
  auto operator()(Calls&&... calls) const {
    detail::TupleTasks<std::remove_cvref_t<Calls>...> tasks(
        std::tuple<std::remove_cvref_t<Calls>&...>(
            const_cast<std::remove_cvref_t<Calls>&>(calls)...));
    detail::LoopDriver driver(options_, tasks, sizeof...(Calls), detail::Deliver::all);
    driver.run();
    if (auto failures = driver.failures(); !failures.empty()) {
      throw LoopErrors(std::move(failures), sizeof...(Calls));
    }
    return std::apply([](auto&... results) { return std::tuple(std::move(*results)...); },
                      tasks.results);
  }

  /// f of every element of a range: a vector, or nothing if f returns void. `f` is called by many
  /// workers at once.
  template <std::ranges::input_range Range, class F>
  auto map(Range&& range, F&& f) const {
    return detail::run_loop<detail::MappedResult<F, Range>, false>(options_, range,
                                                                   detail::MappedCalls<F&>{f});
  }

  /// Likewise, without results.
  template <std::ranges::input_range Range, class F>
  void for_each(Range&& range, F&& f) const {
    detail::run_loop<void, false>(options_, range, detail::MappedCalls<F&>{f});
  }

  /// The results as they come, in the order of the input; see Generator. The range is held by the
  /// generator if it is a temporary, and must outlive it otherwise.
  template <std::ranges::input_range Range>
    requires detail::DelayedRange<Range>
  auto generator(Range&& tasks) const {
    return make_generator<true>(std::forward<Range>(tasks));
  }
  /// The results as they come, each with the index of its task.
  template <std::ranges::input_range Range>
    requires detail::DelayedRange<Range>
  auto generator_unordered(Range&& tasks) const {
    return make_generator<false>(std::forward<Range>(tasks));
  }

  /// Like operator(), but what a task throws is part of its outcome; all tasks are run. Still throws
  /// what the input throws, BadArgument and TimedOut.
  template <std::ranges::input_range Range>
    requires detail::DelayedRange<Range>
  auto outcomes(Range&& tasks) const {
    return detail::run_loop<detail::DelayedResult<Range>, true>(options_, tasks,
                                                                detail::DelayedCalls{});
  }
  template <std::ranges::input_range Range, class F>
  auto map_outcomes(Range&& range, F&& f) const {
    return detail::run_loop<detail::MappedResult<F, Range>, true>(options_, range,
                                                                  detail::MappedCalls<F&>{f});
  }

  const ParallelOptions& options() const noexcept { return options_; }

 private:
  template <bool Ordered, class Range>
  auto make_generator(Range&& tasks) const {
    using Held = std::views::all_t<Range>;
    using State = detail::GeneratorState<Held, detail::DelayedResult<Range>, Ordered>;
    return Generator<typename State::Yield>(
        std::make_unique<State>(options_, std::views::all(std::forward<Range>(tasks))));
  }

  ParallelOptions options_;
};

}  // namespace hoist
