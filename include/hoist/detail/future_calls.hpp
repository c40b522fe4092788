// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/call_traits.hpp>
#include <hoist/detail/future_state.hpp>
#include <hoist/parallel_options.hpp>

#include <concepts>
#include <exception>
#include <type_traits>
#include <utility>

// What the functions of hoist/future.hpp are made of.

namespace hoist {

template <class R>
class Future;

namespace detail {

template <class R>
using ResultReference =
    std::conditional_t<std::is_void_v<R>, void, std::add_lvalue_reference_t<const R>>;

Deadline deadline_of(const TimeLimit& limit);
/// Throws TimedOut if it isn't done in time.
void await(FutureState& state, const TimeLimit& timeout);
bool is_running(const FutureState& state) noexcept;

template <class T>
inline constexpr bool is_future = false;
template <class R>
inline constexpr bool is_future<Future<R>> = true;

template <class R>
R move_or_copy(FutureValue<R>& state) {
  // A Future can be copied, whatever its result is.
  if constexpr (can_copy<R>() || is_future<R>) {
    if (!state.is_unique()) return std::as_const(state.value());
  }
  return std::move(state.value());
}

template <class E>
std::exception_ptr as_pointer(E&& error) {
  if constexpr (std::same_as<std::decay_t<E>, std::exception_ptr>) {
    return error;
  } else {
    return std::make_exception_ptr(std::forward<E>(error));
  }
}

/// False if it was cancelled.
bool claim_for_settling(FutureState& state);
bool settle_error(FutureState& state, std::exception_ptr error);
void abandon_promise(FutureState& state);
/// Ends it as another one has: failed or cancelled. Unless it has ended already.
void fail_like(FutureState& state, const FutureState& failed);

/// Settles with what make() returns, or throws, in which case the exception is the future's.
template <class R, class Make>
bool settle(FutureValue<R>& state, Make&& make) {
  if (!claim_for_settling(state)) return false;
  try {
    state.set_value(std::forward<Make>(make));
    state.complete(FutureState::Status::done);
  } catch (...) {
    state.set_error(std::current_exception());
    state.complete(FutureState::Status::failed);
  }
  return true;
}

/// Gives a future that is done to another one, as its result.
template <class R>
void pass_on(const Future<R>& from, FutureValue<R>& to) {
  FutureValue<R>& state = *from.shared_state();
  if (state.status() != FutureState::Status::done) {
    fail_like(to, state);
  } else {
    settle(to, [&]() -> Kept<R> {
      if constexpr (std::is_void_v<R>) {
        return {};
      } else {
        return move_or_copy<R>(state);
      }
    });
  }
}

/// How a continuation is called: with the future, with the result, or with nothing.
template <class R, class F>
constexpr auto continued() {
  if constexpr (std::is_void_v<R>) {
    if constexpr (std::is_invocable_v<F&>) {
      return std::type_identity<std::invoke_result_t<F&>>{};
    } else {
      return std::type_identity<std::invoke_result_t<F&, const Future<R>&>>{};
    }
  } else if constexpr (std::is_invocable_v<F&, const R&>) {
    return std::type_identity<std::invoke_result_t<F&, const R&>>{};
  } else {
    static_assert(std::is_invocable_v<F&, const Future<R>&>,
                  "then(f): f takes the result, or the Future");
    return std::type_identity<std::invoke_result_t<F&, const Future<R>&>>{};
  }
}
template <class T>
struct Flattened {
  using type = T;
};
template <class R>
struct Flattened<Future<R>> {
  using type = R;
};
template <class R, class F>
using Continued = std::decay_t<typename decltype(continued<R, F>())::type>;
template <class R, class F>
inline constexpr bool takes_result = [] {
  if constexpr (std::is_void_v<R>) {
    return std::is_invocable_v<F&>;
  } else {
    return std::is_invocable_v<F&, const R&>;
  }
}();

template <class R, class F>
auto call_continuation(const Future<R>& future, F& f) {
  if constexpr (!takes_result<R, F>) {
    return f(future);
  } else if constexpr (std::is_void_v<R>) {
    return f();
  } else {
    return f(std::as_const(future.shared_state()->value()));
  }
}

/// Calls the continuation of a future that is done, for `target`.
template <class R, class F, class U>
void continue_with(const Future<R>& future, F& f, const StatePointer<FutureValue<U>>& target) {
  const FutureState& state = *future.shared_state();
  if (takes_result<R, F> && state.status() != FutureState::Status::done) {
    return fail_like(*target, state);
  }
  if (!target->claim(FutureState::Status::running)) return;
  if constexpr (is_future<Continued<R, F>>) {
    try {
      const Future<U> inner = call_continuation<R>(future, f);
      call_when_done(*inner.shared_state(), [inner, target] { pass_on(inner, *target); });
    } catch (...) {
      settle_error(*target, std::current_exception());
    }
  } else {
    settle(*target,
           [&] { return kept_result<U>([&] { return call_continuation<R>(future, f); }); });
  }
}

template <class R, class F>
auto then(const Future<R>& future, F f) {
  using U = typename Flattened<Continued<R, F>>::type;
  StatePointer<FutureValue<U>> target(new FutureValue<U>);
  call_when_done(*future.shared_state(), [future, f = std::move(f), target]() mutable {
    continue_with(future, f, target);
  });
  return Future<U>(target);
}

/// Needs a complete Executor: hoist/executor.hpp.
template <class R, class E, class F>
auto then_on(E& executor, const Future<R>& future, F f) {
  auto submit = [future, f = std::move(f), executor = executor.handle()]() mutable {
    if constexpr (!takes_result<R, F>) {
      return executor.submit(std::move(f), future);
    } else if constexpr (std::is_void_v<R>) {
      return executor.submit(std::move(f));
    } else {
      return executor.submit(std::move(f), future.shared_state()->value());
    }
  };
  if constexpr (takes_result<R, F>) {
    return then(future, [submit = std::move(submit)](const auto&...) mutable { return submit(); });
  } else {
    return then(future,
                [submit = std::move(submit)](const Future<R>&) mutable { return submit(); });
  }
}

}  // namespace detail

}  // namespace hoist
