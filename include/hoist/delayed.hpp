// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <functional>
#include <tuple>
#include <type_traits>
#include <utility>

namespace hoist {

/// A call to be made later: a callable and its arguments, both held by value (wrap in std::ref what
/// a task shall share). What `delayed(f)(args...)` returns.
template <class F, class... Args>
class Delayed {
 public:
  using result_type = std::decay_t<std::invoke_result_t<const F&, const Args&...>>;

  explicit Delayed(F f, Args... args)
      : function_(std::move(f)), arguments_(std::move(args)...) {}

  /// Makes the call.
  decltype(auto) operator()() const { return std::apply(function_, arguments_); }

  const F& function() const noexcept { return function_; }
  const std::tuple<Args...>& arguments() const noexcept { return arguments_; }

 private:
  F function_;
  std::tuple<Args...> arguments_;
};

/// `delayed(f)(args...)` is the call `f(args...)`, to be run by a Parallel loop.
template <class F>
auto delayed(F&& function) {
  return [function = std::decay_t<F>(std::forward<F>(function))]<class... Args>(Args&&... arguments) {
    return Delayed<std::decay_t<F>, std::decay_t<Args>...>(function,
                                                           std::forward<Args>(arguments)...);
  };
}

template <class T>
inline constexpr bool is_delayed = false;
template <class F, class... Args>
inline constexpr bool is_delayed<Delayed<F, Args...>> = true;

}  // namespace hoist
