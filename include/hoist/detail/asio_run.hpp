// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/delayed.hpp>
#include <hoist/detail/asio_pending.hpp>
#include <hoist/detail/asio_result.hpp>
#include <hoist/detail/executor_handle.hpp>

#include <exception>
#include <optional>
#include <utility>

namespace hoist::detail {

/// A call whose end a handler waits for.
template <class R, class Handler>
class AwaitedCall final : public PendingHandler<Handler>, private Continuation {
 public:
  explicit AwaitedCall(Handler handler) : PendingHandler<Handler>(std::move(handler)) {}

  template <class Call>
  void start(const ExecutorHandle& executor, Call call) {
    try {
      start(executor.submit_call(std::move(call)));
    } catch (...) {
      this->post(std::current_exception());
    }
  }
  void start(Future<R> awaited) {
    future_ = awaited.shared_state();
    awaited = {};
    // From now on the handler may be called in another thread.
    const StatePointer<FutureValue<R>> future = future_;
    this->add_reference();
    if (!future->add(*this)) completed();
  }

 private:
  void completed() noexcept override {
    this->post();
    this->drop_reference();
  }

  /// The handler first: to kill a worker may take a moment.
  void cancel() noexcept override {
    const StatePointer<FutureValue<R>> future = future_;
    if (!this->post(this->aborted()) || !future) return;
    if (future->remove(*this)) this->drop_reference();
    try {
      future->cancel();
    } catch (...) {
      // It goes on.
    }
  }

  void call_handler(StatePointer<Pending> self) override {
    Handler handler = this->take_handler();
    std::exception_ptr error = std::move(this->error_);
    std::optional<Kept<R>> value;
    if (!error) error = future_->error();
    if (!error) {
      try {
        // Nobody else has a handle of this future.
        value.emplace(std::move(future_->value()));
      } catch (...) {
        error = std::current_exception();
      }
    }
    future_ = {};
    self = {};
    call_with<R>(std::move(handler), std::move(error), std::move(value));
  }

  StatePointer<FutureValue<R>> future_;
};

struct InitiateCall {
  template <class Handler, class F, class... Args>
  void operator()(Handler&& handler, const ExecutorHandle& executor,
                  Delayed<F, Args...> call) const {
    using R = DelayedCalls::ResultOf<Delayed<F, Args...>>;
    using Operation = AwaitedCall<R, std::decay_t<Handler>>;
    auto* const operation = new Operation(std::forward<Handler>(handler));
    const StatePointer<Pending> kept(operation);
    operation->enlist();
    operation->start(executor, std::move(call));
  }
};

template <class F, class... Args, class Token>
auto initiate_call(const ExecutorHandle& executor, Delayed<F, Args...> call, Token&& token) {
  return initiate<DelayedCalls::ResultOf<Delayed<F, Args...>>>(
      InitiateCall(), std::forward<Token>(token), ExecutorHandle(executor), std::move(call));
}

}  // namespace hoist::detail
