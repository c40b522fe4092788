// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/requirements.hpp>

#include <hoist/delayed.hpp>
#include <hoist/detail/generator_state.hpp>
#include <hoist/detail/loop_driver.hpp>
#include <hoist/detail/loop_into.hpp>
#include <hoist/detail/loop_reduce.hpp>
#include <hoist/detail/loop_run.hpp>
#include <hoist/detail/starred_calls.hpp>
#include <hoist/detail/tuple_tasks.hpp>
#include <hoist/generator.hpp>
#include <hoist/outcome.hpp>
#include <hoist/parallel_options.hpp>
#include <hoist/worker.hpp>

#include <concepts>
#include <cstddef>
#include <functional>
#include <optional>
#include <ranges>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

namespace hoist {

/// Runs loops in parallel:
///
///     std::vector<double> roots = Parallel({.n_jobs = 4}).map(numbers, [](double x) { ... });
///     auto scores = Parallel()(tasks);  // tasks: any input range of delayed(f)(args...)
///     auto [a, b] = Parallel()(delayed(f)(1), delayed(g)("x"));
///
/// Results come in the order of the input. The first failure stops the loop and is thrown with its
/// own type, or as RemoteError where another process threw a type that is not known here
/// (hoist/register_error.hpp); once a call has returned or thrown, nothing of its loop is running.
/// An input that is in memory (or is std::views::iota) is read in place by the workers. Any other
/// input, which may be infinite or single-pass, is read lazily by the calling thread,
/// `pre_dispatch` ahead of the workers; exceptions from reading it are thrown by the call.
///
/// Thread-safe: one object may be used from many threads. Objects are cheap to make, because the
/// backends own and share the workers. Every call may throw BadArgument (options that can't be
/// met), CannotTravel (arguments or results that can't be sent to another process), TimedOut,
/// WorkerDied, Interrupted, SystemError (a process can't be started, or shared memory reserved),
/// LoopErrors (with OnError::finish), and whatever a task throws.
class [[nodiscard]] Parallel {
 public:
  /// Checks the options. Throws BadArgument for values that can't be met.
  [[nodiscard]] explicit Parallel(ParallelOptions options = {});

  /// Makes the calls of a range of delayed calls. Returns a vector of their results, or nothing if
  /// they return void.
  template <std::ranges::input_range Range>
  auto operator()(Range&& tasks) const {
    return detail::run_loop<detail::DelayedResult<Range>, false>(options_, tasks,
                                                                 detail::DelayedCalls{});
  }

  /// Makes a few calls of any types. Returns a tuple of their results (std::monostate for void).
  template <class... Calls>
    requires(sizeof...(Calls) > 0)
  auto operator()(Calls&&... calls) const {
    static_assert(
        ((sizeof(detail::ResultCheck<
                 typename detail::ResultOfDelayed<std::remove_cvref_t<Calls>>::type>) > 0) &&
         ...));
    if constexpr ((detail::ResultCheck<
                       typename detail::ResultOfDelayed<std::remove_cvref_t<Calls>>::type>::ok &&
                   ...)) {
      return run_few(calls...);
    } else {
      return detail::Refused{};
    }
  }

  /// Calls `f` with every element of a range. Returns a vector of the results, or nothing if `f`
  /// returns void. Many workers call `f` at once, so it must be callable as const; processes call
  /// copies of it. On threads `f` may write to an element that it takes by reference; in other
  /// processes it would write to a copy, which is a CannotTravel.
  template <std::ranges::input_range Range, class F>
  auto map(Range&& range, F&& f) const {
    return detail::run_loop<detail::MappedResult<F, Range>, false>(
        options_, range, detail::MappedCalls<detail::SharedCallable<F>>{f});
  }

  /// Like `map`, but discards the results.
  template <std::ranges::input_range Range, class F>
  void for_each(Range&& range, F&& f) const {
    using Result = detail::MappedResult<F, Range>;
    static_assert(sizeof(detail::ResultIsMade<Result>) > 0);
    if constexpr (detail::ResultIsMade<Result>::ok && !std::is_same_v<Result, detail::Refused>) {
      detail::run_loop<void, false>(options_, range,
                                    detail::MappedCalls<detail::SharedCallable<F>>{f});
    }
  }

  /// Calls `f` with the elements of each tuple (pair, std::array) of a range: of `zip(a, b)` or
  /// `product(a, b)` (hoist/zip.hpp), for instance. Under the rules of `map`, which hold for each
  /// element by itself: on threads `f` may write to those it takes by reference; in processes each
  /// must be one that can be sent.
  template <std::ranges::input_range Range, class F>
  auto starmap(Range&& range, F&& f) const {
    return detail::run_loop<detail::StarmappedResult<F, Range>, false>(
        options_, range, detail::StarredCalls<detail::SharedCallable<F>>{f});
  }

  /// Like `map`, but writes the results to existing memory, each converted and moved to its place:
  /// `out` is a random access range (a span, a vector, an Array), which must have as many elements
  /// as the input, or an iterator to the first of enough. Throws BadArgument if it has not (for
  /// input of unknown length once that is known). Elements whose tasks did not succeed stay.
  template <std::ranges::input_range Range, class F, class Output>
  void map_into(Range&& range, F&& f, Output&& out) const {
    using Calls = detail::MappedCalls<detail::SharedCallable<F>>;
    detail::map_into_output<Calls, detail::MappedResult<F, Range>>(options_, range, Calls{f},
                                                                   std::forward<Output>(out));
  }

  /// Combines `init` and the values f(x) of all elements x, from left to right, by an associative
  /// operation; without `f`, the elements themselves. Returns a T, the type of `init`:
  ///
  ///     double norm = Parallel().reduce(xs, 0.0, std::plus(), [](double x) { return x * x; });
  ///
  /// Workers combine pieces of the input (op(T, f(x))), then the caller combines `init` and what
  /// they made (op(T, T)); both return a T. A piece begins with f(x), or with op(T{}, f(x)) if that
  /// is no T, so then T{} is to be neutral. Where pieces begin depends on nothing but the number of
  /// elements (and on whether workers can read them in place), so the result, though of rounded
  /// sums, is the same for each backend, n_jobs and run.
  ///
  /// Both functions are called by many workers at once. A piece is a task where tasks are counted
  /// or limited, or fail; for this_task() and task_rng each element is one. Cost: that of a loop
  /// over the elements; up to 512 values are kept until the end.
  template <std::ranges::input_range Range, class T, class Op, class F = std::identity>
  auto reduce(Range&& range, T init, Op&& op, F&& f = {}) const {
    using Element = std::ranges::range_value_t<Range>;
    constexpr bool can = detail::can_reduce<T, std::remove_reference_t<Op>,
                                            std::remove_reference_t<F>, const Element&>();
    if constexpr (can) {
      return detail::run_reduce<T>(options_, range, std::move(init), op, f);
    } else {
      return detail::Refused{};
    }
  }

  /// Returns the results as a Generator, in the order of the input, while the loop runs. The
  /// generator owns the range if it is a temporary; otherwise the range must outlive it.
  template <std::ranges::input_range Range>
  [[nodiscard]] auto generator(Range&& tasks) const {
    return make_generator<true, detail::DelayedResult<Range>>(std::forward<Range>(tasks),
                                                              detail::DelayedCalls{});
  }
  /// Likewise, of `f` called with every element of a range, under the rules of `map`; but the
  /// calling thread reads the range, as it advances the generator. The generator owns the range and
  /// `f` where they are temporaries; what is not must outlive it.
  template <std::ranges::input_range Range, class F>
  [[nodiscard]] auto generator(Range&& range, F&& f) const {
    return generate_mapped<true>(std::forward<Range>(range), std::forward<F>(f));
  }
  /// Returns the results in the order of completion, each with the index of its task (Indexed).
  template <std::ranges::input_range Range>
  [[nodiscard]] auto generator_unordered(Range&& tasks) const {
    return make_generator<false, detail::DelayedResult<Range>>(std::forward<Range>(tasks),
                                                               detail::DelayedCalls{});
  }
  template <std::ranges::input_range Range, class F>
  [[nodiscard]] auto generator_unordered(Range&& range, F&& f) const {
    return generate_mapped<false>(std::forward<Range>(range), std::forward<F>(f));
  }

  /// Like operator(), but runs all tasks and returns what each one threw as part of its Outcome.
  /// Still throws what ends the whole loop: exceptions of the input, BadArgument, CannotTravel,
  /// TimedOut (`timeout`), Interrupted, SystemError.
  template <std::ranges::input_range Range>
  [[nodiscard]] auto outcomes(Range&& tasks) const {
    return detail::run_loop<detail::DelayedResult<Range>, true>(options_, tasks,
                                                                detail::DelayedCalls{});
  }
  /// Like `map`, with a vector of Outcome as `outcomes` returns it.
  template <std::ranges::input_range Range, class F>
  [[nodiscard]] auto map_outcomes(Range&& range, F&& f) const {
    return detail::run_loop<detail::MappedResult<F, Range>, true>(
        options_, range, detail::MappedCalls<detail::SharedCallable<F>>{f});
  }

  /// The options as given, without the defaults of a surrounding ParallelConfig.
  [[nodiscard]] const ParallelOptions& options() const noexcept { return options_; }

 private:
  template <class... Calls>
  auto run_few(Calls&... calls) const {
    detail::TupleTasks<Calls...> tasks(std::tuple<Calls&...>(calls...));
    detail::LoopDriver driver(options_, tasks, sizeof...(Calls), detail::Deliver::all);
    detail::finish_loop(driver);
    // The types are named, as std::tuple(x) of one tuple or pair would be that tuple.
    return std::apply(
        []<class... R>(std::optional<R>&... results) {
          return std::tuple<R...>(std::move(*results)...);
        },
        tasks.results);
  }
  template <bool Ordered, class R, class Range, class Calls>
  auto make_generator(Range&& range, Calls calls) const {
    static_assert(sizeof(detail::ResultCheck<R>) > 0);
    if constexpr (detail::ResultCheck<R>::ok) {
      using State = detail::GeneratorState<std::views::all_t<Range>, Calls, R, Ordered>;
      return Generator<typename State::Yield>(std::make_unique<State>(
          options_, std::views::all(std::forward<Range>(range)), std::move(calls)));
    } else {
      return detail::Refused{};
    }
  }
  template <bool Ordered, class Range, class F>
  auto generate_mapped(Range&& range, F&& f) const {
    using Result = detail::MappedResult<F, std::views::all_t<Range>, false>;
    // A reference where f is an lvalue, and f itself where it is a temporary.
    using Held = std::conditional_t<std::is_lvalue_reference_v<F>, detail::SharedCallable<F>, F>;
    return make_generator<Ordered, Result>(std::forward<Range>(range),
                                           detail::MappedCalls<Held>{std::forward<F>(f)});
  }

  ParallelOptions options_;
};

}  // namespace hoist
