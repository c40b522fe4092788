// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/delayed.hpp>
#include <hoist/detail/typed_loop.hpp>

#include <optional>
#include <ranges>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace hoist {

struct ParallelOptions {
  /// Number of tasks that run at a time: -1 one for each usable core, -2 all cores but one, and so
  /// on; 0 is refused. Unset: as -1.
  std::optional<int> n_jobs = {};
  /// "threads", "sequential", or a name given to `register_backend`. Empty: "threads".
  std::string backend = {};
};

namespace detail {
void run_loop(const ParallelOptions& options, const LoopCall& call);
void check_options(const ParallelOptions& options);
}  // namespace detail

/// Runs loops in parallel.
///
/// Results are in the order of the tasks whatever the backend and the number of jobs. The first
/// exception of a task stops the loop: tasks that have not started never do, the call returns when
/// the running ones have ended, and throws that exception with its own type. Loops may be nested.
/// One object may be used by many threads at once.
class Parallel {
 public:
  /// Throws BadArgument for n_jobs = 0 and for a backend nobody has registered.
  explicit Parallel(ParallelOptions options = {}) : options_(std::move(options)) {
    detail::check_options(options_);
  }

  /// `{f(x) for x in range}`: a vector of the results in order, or nothing where f returns void.
  template <std::ranges::input_range Range, class F>
  auto map(Range&& range, F&& f) const {
    using R = std::decay_t<std::invoke_result_t<F&, std::ranges::range_reference_t<Range>>>;
    return detail::with_indexed(std::forward<Range>(range), [&](auto first, std::size_t size) {
      using Distance = std::iter_difference_t<decltype(first)>;
      return collect<R>(size, [&](std::size_t i) -> decltype(auto) {
        return f(first[static_cast<Distance>(i)]);
      });
    });
  }

  /// Calls `f(x)` for every x of the range, dropping what it returns.
  template <std::ranges::input_range Range, class F>
  void for_each(Range&& range, F&& f) const {
    detail::with_indexed(std::forward<Range>(range), [&](auto first, std::size_t size) {
      using Distance = std::iter_difference_t<decltype(first)>;
      auto task = [&f, first](std::size_t i) {
        static_cast<void>(f(first[static_cast<Distance>(i)]));
      };
      detail::run_loop(options_, detail::loop_call(task, size));
    });
  }

  /// Makes the delayed calls of a range; results as `map`.
  template <std::ranges::input_range Range>
    requires is_delayed<std::remove_cvref_t<std::ranges::range_reference_t<Range>>>
  auto operator()(Range&& calls) const {
    return map(std::forward<Range>(calls), [](const auto& call) { return call(); });
  }

  /// Makes delayed calls of different types; their results as a tuple (std::monostate for void).
  template <class... Calls>
    requires(is_delayed<std::remove_cvref_t<Calls>> && ...)
  auto operator()(const Calls&... calls) const {
    std::tuple<std::optional<Result<Calls>>...> results;
    auto task = [&](std::size_t i) { make_call(i, results, std::index_sequence_for<Calls...>(), calls...); };
    detail::run_loop(options_, detail::loop_call(task, sizeof...(Calls)));
    return std::apply([](auto&... slots) { return std::tuple(std::move(*slots)...); }, results);
  }

 private:
  template <class Call, class R = typename Call::result_type>
  using Result = std::conditional_t<std::is_void_v<R>, std::monostate, R>;

  template <class R, class Call>
  auto collect(std::size_t size, Call call) const {
    if constexpr (std::is_void_v<R>) {
      detail::run_loop(options_, detail::loop_call(call, size));
    } else {
      detail::Results<R> results(size);
      auto task = [&](std::size_t i) { results.put(i, [&]() -> decltype(auto) { return call(i); }); };
      detail::run_loop(options_, detail::loop_call(task, size));
      return results.take();
    }
  }

  template <class Results, std::size_t... I, class... Calls>
  static void make_call(std::size_t i, Results& results, std::index_sequence<I...>,
                        const Calls&... calls) {
    const auto one = [](auto& slot, const auto& call) {
      if constexpr (std::is_void_v<typename std::remove_cvref_t<decltype(call)>::result_type>) {
        call();
        slot.emplace();
      } else {
        slot.emplace(call());
      }
    };
    ((i == I ? one(std::get<I>(results), calls) : void()), ...);
  }

  ParallelOptions options_;
};

}  // namespace hoist
