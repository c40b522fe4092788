// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/requirements.hpp>

#include <hoist/detail/future_calls.hpp>
#include <hoist/detail/future_sets.hpp>
#include <hoist/error.hpp>
#include <hoist/generator.hpp>
#include <hoist/parallel_options.hpp>

#include <concepts>
#include <exception>
#include <memory>
#include <ranges>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

// The results of calls that are under way, as in Python's concurrent.futures:
//
//     ThreadPoolExecutor pool({.max_workers = 4});
//     Future<int> sum = pool.submit(add, 1, 2);
//     std::cout << sum.result();
//     for (Future<Page>& page : as_completed(pages, 30s)) show(page.result());
//
// Callbacks and continuations run in one thread of the process, one after the other: those of a
// future in the order in which they were added, those of several as these were done. They may
// submit calls, add callbacks and wait for calls (but not for callbacks). What a callback throws is
// reported on stderr. At the end of the program those are waited for that are due, 10 s at most.

namespace hoist {

class Executor;

/// A handle of a result that will be there later. Copies refer to the same result. An executor
/// makes it (hoist/executor.hpp), or a Promise. If all handles are dropped the call is made all the
/// same. Thread-safe; a default-constructed one refers to nothing, and all but valid() throws
/// BadArgument.
///
/// A call whose worker dies fails with WorkerDied, one whose arguments or result can't be sent with
/// CannotTravel; other calls of the executor are not affected.
template <class R>
class Future {
 public:
  using value_type = R;

  /// Refers to nothing.
  Future() = default;
  /// For hoist, which makes futures.
  explicit Future(detail::StatePointer<detail::FutureValue<R>> state) : state_(std::move(state)) {}

  /// Whether it refers to a result.
  [[nodiscard]] bool valid() const noexcept { return static_cast<bool>(state_); }

  /// Waits for the result, with a reference that is valid as long as a handle is. Throws what the
  /// call has thrown, Cancelled, and TimedOut if it is not there in time; it may come later. A time
  /// limit is a duration, or a number of seconds; at 0 it is only looked at. In a task of an
  /// executor of threads, a call that hasn't begun is made by the waiting thread if there is no
  /// time limit, so that tasks may wait for tasks (and should hold no locks then).
  detail::ResultReference<R> result(TimeLimit timeout = {}) const& {
    detail::await(state(), timeout);
    state_->check();
    if constexpr (!std::is_void_v<R>) return std::as_const(state_->value());
  }
  /// The same of a temporary or a moved handle, which is left without a result: the value, moved
  /// out if no other handle can see it, or if it can't be copied.
  R result(TimeLimit timeout = {}) && {
    detail::await(state(), timeout);
    const auto taken = std::exchange(state_, {});
    taken->check();
    if constexpr (!std::is_void_v<R>) return detail::move_or_copy<R>(*taken);
  }
  /// Waits likewise, and returns the call's exception, Cancelled, or null for a result.
  [[nodiscard]] std::exception_ptr exception(TimeLimit timeout = {}) const {
    detail::await(state(), timeout);
    return state_->error();
  }
  /// Waits until it is done; false if it isn't in time.
  bool wait(TimeLimit timeout = {}) const {
    return state().wait_until(detail::deadline_of(timeout));
  }

  /// Whether there is a result or an exception, or it was cancelled.
  [[nodiscard]] bool done() const { return state().is_done(); }
  /// Whether the call is being made. A call on its way to a worker process is counted as that.
  [[nodiscard]] bool running() const { return detail::is_running(state()); }
  /// Cancels a call that has not begun; it will not. One that runs can't be cancelled, but by an
  /// executor with `kill_on_cancel`, which kills the worker. Returns whether it is cancelled.
  bool cancel() const { return state().cancel(); }
  [[nodiscard]] bool cancelled() const {
    return state().status() == detail::FutureState::Status::cancelled;
  }

  /// Calls f(future) when it is done, soon if it is already.
  template <class F>
    requires std::invocable<F&, const Future&>
  void add_done_callback(F f) const {
    detail::call_when_done(state(), [self = *this, f = std::move(f)]() mutable { f(self); });
  }
  /// The future of f(result), called when the result is there. If there is none, f isn't called,
  /// and the error is passed on; but an f that takes the Future is called in any case. Where f
  /// returns a Future, that one's result is meant.
  template <class F>
  auto then(F f) const {
    return detail::then<R>(*this, std::move(f));
  }
  /// The same, with the call f(result) submitted to an executor, which must not end before.
  template <class F>
  auto then(Executor& executor, F f) const {
    return detail::then_on<R>(executor, *this, std::move(f));
  }

  /// For hoist.
  const detail::StatePointer<detail::FutureValue<R>>& shared_state() const {
    if (!state_) detail::throw_no_future();
    return state_;
  }

 private:
  detail::FutureValue<R>& state() const { return *shared_state(); }

  detail::StatePointer<detail::FutureValue<R>> state_;
};

/// Makes a Future for a result that comes from elsewhere: from a callback of another library, say.
/// If it is destroyed without having set one, the future is cancelled. Movable; one that was moved
/// from throws BadArgument. Thread-safe.
template <class R>
class Promise {
 public:
  Promise() : state_(new detail::FutureValue<R>) {}
  Promise(Promise&&) noexcept = default;
  Promise& operator=(Promise&& other) noexcept {
    Promise old(std::move(*this));
    state_ = std::move(other.state_);
    return *this;
  }
  ~Promise() {
    if (state_) detail::abandon_promise(*state_);
  }

  /// The future; each call returns a handle of the same one.
  [[nodiscard]] Future<R> future() const { return Future<R>(shared_state()); }
  /// Says that the call has begun, after which the future can't be cancelled. False if it was.
  bool set_running() { return shared_state()->claim(detail::FutureState::Status::running); }
  /// Sets the result, made of these arguments (none for void). False if the future was cancelled.
  /// Throws BadArgument if there is a result or an exception already.
  template <class... Args>
    requires std::constructible_from<detail::Kept<R>, Args...>
  bool set_value(Args&&... args) {
    // Whoever waits may destroy the promise before this returns.
    const auto state = shared_state();
    return detail::settle(*state, [&] { return detail::Kept<R>(std::forward<Args>(args)...); });
  }
  /// Sets the exception: an exception object or a std::exception_ptr that isn't null.
  template <class E>
  bool set_exception(E&& error) {
    const auto state = shared_state();
    return detail::settle_error(*state, detail::as_pointer(std::forward<E>(error)));
  }

 private:
  detail::StatePointer<detail::FutureValue<R>> shared_state() const {
    if (!state_) detail::throw_no_future();
    return state_;
  }

  detail::StatePointer<detail::FutureValue<R>> state_;
};

/// What wait() waits for. `first_exception` is as `all_completed` unless one fails.
enum class ReturnWhen : unsigned char { first_completed, first_exception, all_completed };

/// What wait() returns: each given future once, in the order in which they were given.
template <class R>
struct Waited {
  std::vector<Future<R>> done;  ///< with a result or an exception, or cancelled
  std::vector<Future<R>> not_done;
};

/// Waits for futures, a range of Future<R>. At the end of the time it returns what there is.
template <std::ranges::input_range Range>
auto wait(Range&& futures, ReturnWhen when = ReturnWhen::all_completed, TimeLimit timeout = {}) {
  return detail::wait_for<Waited>(futures, static_cast<int>(when), timeout);
}

/// The futures of a range as they get done, each once. Those that are done already come first. The
/// time limit counts from this call; when it is over, the next increment throws TimedOut, which
/// tells how many are unfinished. Handles are dropped as the loop proceeds. Single-pass; linear in
/// the number of futures.
template <std::ranges::input_range Range>
[[nodiscard]] auto as_completed(Range&& futures, TimeLimit timeout = {}) {
  using One = detail::FutureOf<Range>;
  return Generator<One>(std::make_unique<detail::CompletedFutures<One>>(futures, timeout));
}

/// The future of all results: a std::tuple of them (std::monostate for void). Fails with the first
/// error at once; the others go on.
template <class... R>
[[nodiscard]] auto when_all(const Future<R>&... futures) {
  return detail::all_of_tuple(futures...);
}
/// Likewise for a range of Future<R>: a std::vector of the results, in order.
template <std::ranges::input_range Range>
[[nodiscard]] auto when_all(Range&& futures) {
  return detail::all_of_range(futures);
}

}  // namespace hoist
