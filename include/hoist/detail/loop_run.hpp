// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/delayed.hpp>
#include <hoist/detail/loop_driver.hpp>
#include <hoist/detail/read_tasks.hpp>
#include <hoist/outcome.hpp>
#include <hoist/parallel_options.hpp>

#include <cstddef>
#include <optional>
#include <ranges>
#include <type_traits>
#include <utility>
#include <vector>

namespace hoist::detail {

template <class Range>
concept DelayedRange = std::ranges::input_range<Range> &&
                       is_delayed<std::remove_cvref_t<std::ranges::range_value_t<Range>>>;

/// Takes the place of a result that has been refused, so that the compiler's first error is its
/// last.
struct Refused {
  template <class T>
  operator T() const;  // NOLINT(google-explicit-constructor)
  const Refused* begin() const;
  const Refused* end() const;
};

/// The result of a delayed call; an error of the compiler for anything else.
template <class Call>
struct ResultOfDelayed {
  static_assert(!is_delay<Call>,
                "Parallel()(...): delayed(f) still needs its arguments: delayed(f)(args...)");
  static_assert(is_delay<Call> || is_delayed<Call>,
                "Parallel()(...): this is no delayed call, but perhaps already its result: wrap it "
                "in delayed, delayed(f)(args...) instead of f(args...)");
  using type = Refused;
};
template <class Call>
  requires is_delayed<Call>
struct ResultOfDelayed<Call> {
  using type = std::decay_t<std::invoke_result_t<Call&>>;
};
template <class Range>
using DelayedResult =
    typename ResultOfDelayed<std::remove_cvref_t<std::ranges::range_value_t<Range>>>::type;

/// The result type of f for an item as it is held: elements in memory in place, others by value.
/// `InPlace`: the workers read the range.
template <class F, class Range, bool InPlace>
constexpr auto mapped_result() {
  using Reference = std::ranges::range_reference_t<Range>;
  using Value = std::ranges::range_value_t<Range>;
  using Shared = SharedCallable<F>;
  constexpr bool callable =
      std::is_invocable_v<Shared, Reference> || std::is_invocable_v<Shared, Value>;
  constexpr bool changes =
      !callable && (std::is_invocable_v<F&, Reference> || std::is_invocable_v<F&, Value>);
  static_assert(callable || changes,
                "map, for_each or generator(range, f): f can't be called with an element of the "
                "range, and nothing else (a function that is passed on has no default arguments)");
  static_assert(
      !changes,
      "map, for_each or generator(range, f): f can only be called as non-const (a mutable "
      "lambda?), "
      "but many workers call it at once, so what it changes would be changed by all of them: "
      "capture a std::atomic by reference, return the value instead, or keep state per task with "
      "delayed(f)(...), which copies f into each task");
  if constexpr (!callable) {
    return std::type_identity<Refused>{};
  } else if constexpr (std::is_lvalue_reference_v<Reference> && std::ranges::forward_range<Range> &&
                       std::is_invocable_v<Shared, Reference>) {
    return std::type_identity<std::decay_t<std::invoke_result_t<Shared, Reference>>>{};
  } else if constexpr (InPlace || !std::is_invocable_v<Shared, Value&>) {
    return std::type_identity<std::decay_t<std::invoke_result_t<Shared, Value>>>{};
  } else {
    return std::type_identity<std::decay_t<std::invoke_result_t<Shared, Value&>>>{};
  }
}
/// A result that is a delayed call would be a call that nobody makes.
template <class R>
struct ResultIsMade {
  static constexpr bool ok = !is_delayed<R> && !is_delay<R>;
  static_assert(ok,
                "the result of a task is delayed(f), which nobody calls: call f(...) in the task, "
                "or pass the delayed calls themselves to Parallel()(...)");
};
/// Whether results of type R can be handed over.
template <class R>
struct ResultCheck : ResultIsMade<R> {
  static constexpr bool moves = std::is_void_v<R> || std::is_move_constructible_v<R>;
  static constexpr bool ok = ResultIsMade<R>::ok && moves && !std::is_same_v<R, Refused>;
  static_assert(moves,
                "the result of a task is handed over by moving it, but this type can't be moved: "
                "return a std::unique_ptr to it");
};
template <class F, class Range, bool InPlace = ReadInPlace<Range>>
using MappedResult = typename decltype(mapped_result<F, Range, InPlace>())::type;

/// The results of the tasks that are done, for the error of a loop.
template <class R>
CarriedResults carry_results([[maybe_unused]] const LoopDriver& driver,
                             [[maybe_unused]] auto&& take_result) {
  CarriedResults carried;
  if constexpr (!std::is_void_v<R>) {
    std::vector<std::optional<R>> results(driver.tasks());
    for (std::size_t i = 0; i < results.size(); ++i) {
      if (driver.account(i).done) results[i].emplace(take_result(i));
    }
    carried.set(std::move(results));
  }
  return carried;
}

/// Runs a loop, and returns what a call of Parallel returns when the loop is over.
template <class R, bool Outcomes, class Take>
auto deliver(LoopDriver& driver, Take&& take_result, auto&& take_all) {
  if (!driver.run()) driver.fail(carry_results<R>(driver, take_result));
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
  } else if constexpr (std::is_same_v<R, bool>) {
    std::vector<bool> results;
    for (const bool value : take_all()) results.push_back(value);
    return results;
  } else if constexpr (!std::is_void_v<R>) {
    return std::vector<R>(take_all());
  }
}

template <class R, bool Outcomes, class Range, class Calls>
auto run_loop(const ParallelOptions& options, Range& range, Calls&& calls) {
  constexpr Deliver how = Outcomes ? Deliver::outcomes : Deliver::all;
  static_assert(sizeof(ResultCheck<R>) > 0);  // before the condition: see Memory::cache
  if constexpr (!ResultCheck<R>::ok) {
    return Refused{};
  } else if constexpr (ReadsInPlace<Calls, Range&>) {
    const auto count = static_cast<std::size_t>(std::ranges::size(range));
    IndexedTasks<std::ranges::iterator_t<Range>, std::remove_cvref_t<Calls>, R> tasks(
        std::ranges::begin(range), std::forward<Calls>(calls), Results<R>(count));
    LoopDriver driver(options, tasks, count, how);
    return deliver<R, Outcomes>(
        driver, [&](std::size_t i) { return tasks.results.take(i); },
        [&] { return tasks.results.take_all(); });
  } else if constexpr (std::is_void_v<R> && !Outcomes) {
    // The input may be infinite.
    ReadTasks<Range&, std::remove_cvref_t<Calls>, R, NoResults> tasks(range,
                                                                      std::forward<Calls>(calls));
    LoopDriver driver(options, tasks, unread, how);
    if (!driver.run()) driver.fail({});
  } else {
    ReadTasks<Range&, std::remove_cvref_t<Calls>, R> tasks(range, std::forward<Calls>(calls));
    LoopDriver driver(options, tasks, unread, how);
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

}  // namespace hoist::detail
