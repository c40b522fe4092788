// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/asio_future.hpp>
#include <hoist/detail/awaited_flights.hpp>
#include <hoist/detail/cacheable.hpp>
#include <hoist/detail/call_frame.hpp>
#include <hoist/detail/callable.hpp>

#include <boost/asio/awaitable.hpp>

#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

// A cached coroutine: looked up and stored as a cached function, run as a coroutine.

namespace hoist::detail {

template <class T, class Executor>
struct Awaited<asio::awaitable<T, Executor>> {
  using type = T;
  static constexpr bool is_awaitable = true;
};

/// How a coroutine holds an argument: what is passed by const reference as a copy, since the
/// coroutine begins later, but for objects that a copy would cut.
template <class P, class T = std::remove_cvref_t<P>>
using HeldArgument =
    std::conditional_t<std::is_lvalue_reference_v<P> &&
                           (!std::is_const_v<std::remove_reference_t<P>> ||
                            std::is_polymorphic_v<T> || !std::is_copy_constructible_v<T>),
                       P, T>;

template <class F>
struct CoroutineState {
  std::shared_ptr<memory::MemoryCore> memory;
  F function;
  std::shared_ptr<CallCache> cache;
};

/// Calls a member of the cache with this call, as CachedFunction::ask does.
template <class Frame, class Answer>
[[gnu::noinline]] Answer ask_cache(CallCache& cache, Frame& frame,
                                   Answer (CallCache::*question)(const Call&)) {
  Hasher hasher;
  return (cache.*question)(frame.describe(hasher, cache.ignored()));
}

/// One call. A coroutine that waits for another one's computation looks again when that has ended.
template <class F, class R, class Executor, class... Ps>
asio::awaitable<R, Executor> run_cached(std::shared_ptr<const CoroutineState<F>> state,
                                        HeldArgument<Ps>... held) {
  CallCache& cache = *state->cache;
  CallFrame<F, R, Ps...> frame(state->function, static_cast<Ps&&>(held)...);
  if (ask_cache(cache, frame, &CallCache::read)) co_return frame.take();
  const Digest key = ask_cache(cache, frame, &CallCache::flight_of);
  std::unique_ptr<AwaitedFlight> flight;
  for (auto end = FlightEnd::failed; end != FlightEnd::not_stored;) {
    Future<FlightEnd> ended;
    flight = AwaitedFlight::begin(key, ended);
    if (flight) break;
    end = co_await await_future<Executor>(std::move(ended));
    if (end == FlightEnd::stored && ask_cache(cache, frame, &CallCache::read)) {
      co_return frame.take();
    }
  }
  const auto missing = ask_cache(cache, frame, &CallCache::find_alone);
  if (missing) {
    if constexpr (std::is_void_v<R>) {
      co_await call(state->function, static_cast<Ps&&>(held)...);
      frame.result.emplace();
    } else {
      frame.result.emplace(co_await call(state->function, static_cast<Ps&&>(held)...));
    }
    missing->finish();
  }
  if (flight)
    flight->ended(!missing || missing->is_stored ? FlightEnd::stored : FlightEnd::not_stored);
  co_return frame.take();
}

}  // namespace hoist::detail
