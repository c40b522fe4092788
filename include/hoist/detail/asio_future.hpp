// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/asio_run.hpp>
#include <hoist/future.hpp>

#include <utility>

namespace hoist::detail {

struct InitiateFuture {
  template <class Handler, class R>
  void operator()(Handler&& handler, Future<R> future) const {
    using Operation = AwaitedCall<R, std::decay_t<Handler>>;
    auto* const operation = new Operation(std::forward<Handler>(handler));
    const StatePointer<Pending> kept(operation);
    operation->enlist();
    operation->start(std::move(future));
  }
};

/// Awaits a future of which nobody else has a handle. Cancelling the wait cancels it.
template <class Executor, class R>
asio::awaitable<R, Executor> await_future(Future<R> future) {
  return initiate<R>(InitiateFuture(), asio::use_awaitable_t<Executor>(), std::move(future));
}

}  // namespace hoist::detail
