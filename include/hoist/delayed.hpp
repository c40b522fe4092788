// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/requirements.hpp>

#include <hoist/detail/derived.hpp>

#include <functional>
#include <tuple>
#include <type_traits>
#include <utility>

namespace hoist {

/// A function call to be made later: a function and its arguments.
///
/// The arguments are held by value. std::ref passes a reference, which works only with backends
/// that share the caller's memory (sequential, threads). Made by `delayed(f)(args...)`.
template <class F, class... Args>
class [[nodiscard]] Delayed {
 public:
  /// For `delayed`, which deduces the types. Takes over the function and the arguments, without
  /// copying those that are moved in.
  Delayed(F f, std::tuple<Args...> args) : f_(std::move(f)), args_(std::move(args)) {}

  /// Makes the call and returns what the function returns. The arguments are passed as lvalues and
  /// stay valid; only if the function does not accept lvalues are they moved from.
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

  /// The function and the arguments, for backends that send them to another process.
  const F& function() const noexcept { return f_; }
  const std::tuple<Args...>& arguments() const noexcept { return args_; }

 private:
  F f_;
  std::tuple<Args...> args_;
};

namespace detail {
/// Takes the place of a call that has been refused, so that the compiler's first error is its last.
struct RefusedCall {
  void operator()() const;
};
template <class F, class... Args>
inline constexpr bool can_bind =
    std::is_invocable_v<F&, Args&...> || std::is_invocable_v<F&, Args...>;
template <class F, class... Args>
using BoundCall =
    std::conditional_t<can_bind<F, Args...>, Delayed<F, Args...>, Delayed<RefusedCall>>;
}  // namespace detail

/// The result of `delayed(f)`: calling it binds the arguments.
template <class F>
class [[nodiscard]] Delay {
 public:
  explicit Delay(F f) : f_(std::move(f)) {}

  /// Binds the arguments, each copied or moved into the call. A compile-time error if `f` can't be
  /// called with them. Throws BadArgument for an object of a derived class known by its base, of
  /// which the copy would lack a part: pass it by pointer.
  template <class... Args>
  detail::BoundCall<F, std::decay_t<Args>...> operator()(Args&&... args) const& {
    return bind(f_, std::forward<Args>(args)...);
  }
  /// Likewise for a temporary `delayed(f)`, from which the function is moved.
  template <class... Args>
  detail::BoundCall<F, std::decay_t<Args>...> operator()(Args&&... args) && {
    return bind(std::move(f_), std::forward<Args>(args)...);
  }

 private:
  template <class Function, class... Args>
  static auto bind(Function&& f, Args&&... args) {
    using Bound = detail::BoundCall<F, std::decay_t<Args>...>;
    constexpr bool ok = detail::can_bind<F, std::decay_t<Args>...>;
    static_assert(ok,
                  "delayed(f)(args...): f can't be called with these arguments (all are needed: a "
                  "function that is passed on has no default arguments)");
    if constexpr (ok) {
      (detail::check_whole<std::decay_t<Args>>(args), ...);
      return Bound(std::forward<Function>(f),
                   std::tuple<std::decay_t<Args>...>(std::forward<Args>(args)...));
    } else {
      return Bound({}, {});
    }
  }

  F f_;
};

/// `delayed(f)(a, b)` is the call f(a, b), to be made later by Parallel.
///
/// `f` is a function, a function object, a lambda or a pointer to a member; anything else is a
/// compile-time error. The call holds copies of `f` and the arguments (moved if they are
/// temporaries), so it may outlive the caller's variables. Backends in other processes need
/// arguments and results that are Storable (hoist/values.hpp).
template <class F>
[[nodiscard]] Delay<std::decay_t<F>> delayed(F&& f) {
  using Callable = std::decay_t<F>;
  static_assert(std::is_class_v<Callable> || std::is_member_pointer_v<Callable> ||
                    std::is_function_v<std::remove_pointer_t<Callable>>,
                "delayed(f)(args...): f is the function itself, not the result of calling it");
  return Delay<std::decay_t<F>>(std::forward<F>(f));
}

namespace detail {
/// True for the types that `delayed(f)(args...)` returns.
template <class T>
inline constexpr bool is_delayed = false;
template <class F, class... Args>
inline constexpr bool is_delayed<Delayed<F, Args...>> = true;
/// True for the types that `delayed(f)` returns.
template <class T>
inline constexpr bool is_delay = false;
template <class F>
inline constexpr bool is_delay<Delay<F>> = true;
}  // namespace detail

}  // namespace hoist
