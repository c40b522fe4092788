// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <functional>
#include <tuple>
#include <type_traits>
#include <utility>

namespace hoist {

/// A call to be made later: a function and the arguments for it, held by value (std::ref for a
/// reference, which only backends that share memory honour).
template <class F, class... Args>
class Delayed {
 public:
  Delayed(F f, std::tuple<Args...> args) : f_(std::move(f)), args_(std::move(args)) {}

  /// Makes the call. Arguments stay what they are unless the function takes only rvalues.
  decltype(auto) operator()() {
    return std::apply(
        [this](Args&... args) -> decltype(auto) {
          if constexpr (std::is_invocable_v<F&, Args&...>) {
            return std::invoke(f_, args...);
          } else {
            return std::invoke(f_, std::forward<Args>(args)...);
          }
        },
        args_);
  }

  const F& function() const noexcept { return f_; }
  const std::tuple<Args...>& arguments() const noexcept { return args_; }

 private:
  F f_;
  std::tuple<Args...> args_;
};

/// What `delayed(f)` gives: call it with the arguments of the later call.
template <class F>
class Delay {
 public:
  explicit Delay(F f) : f_(std::move(f)) {}

  template <class... Args>
  Delayed<F, std::decay_t<Args>...> operator()(Args&&... args) const& {
    static_assert(std::is_invocable_v<F&, std::decay_t<Args>&...> ||
                      std::is_invocable_v<F&, std::decay_t<Args>...>,
                  "delayed(f)(args...): f can't be called with these arguments");
    return {f_, std::tuple<std::decay_t<Args>...>(std::forward<Args>(args)...)};
  }
  template <class... Args>
  Delayed<F, std::decay_t<Args>...> operator()(Args&&... args) && {
    static_assert(std::is_invocable_v<F&, std::decay_t<Args>&...> ||
                      std::is_invocable_v<F&, std::decay_t<Args>...>,
                  "delayed(f)(args...): f can't be called with these arguments");
    return {std::move(f_), std::tuple<std::decay_t<Args>...>(std::forward<Args>(args)...)};
  }

 private:
  F f_;
};

/// `delayed(f)(a, b)` is the call f(a, b), to be made by Parallel.
template <class F>
Delay<std::decay_t<F>> delayed(F&& f) {
  using Callable = std::decay_t<F>;
  static_assert(std::is_class_v<Callable> || std::is_member_pointer_v<Callable> ||
                    std::is_function_v<std::remove_pointer_t<Callable>>,
                "delayed(f)(args...): f is the function itself, not the result of calling it");
  return Delay<std::decay_t<F>>(std::forward<F>(f));
}

namespace detail {
template <class T>
inline constexpr bool is_delayed = false;
template <class F, class... Args>
inline constexpr bool is_delayed<Delayed<F, Args...>> = true;
}  // namespace detail

}  // namespace hoist
