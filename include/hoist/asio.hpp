// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/requirements.hpp>

#include <hoist/delayed.hpp>
#include <hoist/detail/asio_cached.hpp>
#include <hoist/detail/asio_gather.hpp>
#include <hoist/detail/asio_run.hpp>
#include <hoist/detail/asio_waits.hpp>
#include <hoist/executor.hpp>
#include <hoist/memory.hpp>
#include <hoist/outcome.hpp>
#include <hoist/parallel_options.hpp>
#include <hoist/partial.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <concepts>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

// Coroutines of Boost.Asio (1.81 or newer, whose headers the program then needs) that wait for
// calls of executors, for each other, and for what processes share, as in Python's asyncio:
//
//     boost::asio::awaitable<void> handle(ProcessPoolExecutor& workers, Request request) {
//       Answer answer = co_await async_run(workers, compute, request);
//       auto [a, b] = co_await gather(load("a"), load("b"));
//       Item item = co_await wait_for(queue.async_get(), 10s);
//     }
//
// Not part of hoist.hpp. The functions async_get, async_put, async_recv, async_join and async_wait
// of queues, connections, processes and events can be used where this header is included.
//
// For all of these operations:
// - An awaitable of Asio does nothing before it is awaited: the call begins with `co_await`.
// - The last argument may be any completion token; the default is boost::asio::use_awaitable. The
//   completion is void(std::exception_ptr, R), or void(std::exception_ptr) for void. A result
//   without a default constructor comes to other tokens as std::optional<R>, empty beside an error.
// - A coroutine goes on, and a handler is called, by its own associated executor, never in a thread
//   of a pool; a handler without one, by Asio's system_executor. Its io_context has work as long.
// - Cancellation by Asio's slots, of all types, ends the wait with a boost::system::system_error of
//   boost::asio::error::operation_aborted.
// - An io_context may be stopped, or destroyed, while operations are pending: that destroys the
//   handlers and coroutines, and does nothing to the calls. Its other rules hold here as well: its
//   executors, and what refers to them, must not be used after its end.

namespace hoist {

namespace detail {

/// An Executor, or a Pool.
template <class E>
concept TakesCalls = requires(const E& executor) {
  { executor.handle() } -> std::convertible_to<const ExecutorHandle&>;
};

}  // namespace detail

/// Makes the call f(args...) in a worker of an executor or a pool, with copies of function and
/// arguments, and waits for its result. Errors are those of Future::result, also those of
/// submitting it, BadArgument after shutdown() for instance.
///
/// Cancelling it takes the call back if it has not begun. A call that runs goes on without anybody
/// who waits for it, or is killed by an executor with `kill_on_cancel`; the wait ends at once. The
/// executor may be destroyed while calls are awaited: it finishes them. Cost: that of submit(), and
/// one post to the executor of the coroutine.
template <detail::TakesCalls E, class F, class... Args>
  requires(!detail::is_delayed<std::decay_t<F>>)
[[nodiscard]] auto async_run(const E& executor, F&& f, Args&&... args) {
  return detail::initiate_call(executor.handle(),
                               delayed(std::forward<F>(f))(std::forward<Args>(args)...),
                               detail::DefaultToken());
}
/// The same for a call that is made already, with any completion token:
/// async_run(workers, delayed(f)(args...), token).
template <detail::TakesCalls E, class F, class... Args, class Token = detail::DefaultToken>
auto async_run(const E& executor, Delayed<F, Args...> call, Token&& token = {}) {
  return detail::initiate_call(executor.handle(), std::move(call), std::forward<Token>(token));
}

// The functions below start coroutines by the executor of the coroutine that awaits them, each on a
// strand of its own: where several threads run an io_context, they run at the same time. Results
// need no default constructor. An awaitable is moved from.

/// Awaits several awaitables at a time; returns a std::tuple of their results, std::monostate for
/// void. The first error is thrown at once; the others go on, and nobody sees how they end.
/// Cancelling it cancels all, waits for their end and throws operation_aborted.
template <class... T>
[[nodiscard]] boost::asio::awaitable<std::tuple<detail::Kept<T>...>> gather(
    boost::asio::awaitable<T>... tasks) {
  return detail::gather_tuple(std::move(tasks)...);
}
/// The same for a range of awaitables: a std::vector of the results, in order. Nothing to wait for
/// if it is empty.
template <detail::AwaitableRange Range>
[[nodiscard]] auto gather(Range&& tasks) {
  return detail::gather_results(detail::tasks_of(tasks));
}

/// Options of gather().
struct GatherOptions {
  /// Waits for all, and throws no error of theirs.
  bool return_exceptions = false;
};
/// With options the result is a std::vector of an Outcome for each, with its value or its error.
template <detail::AwaitableRange Range>
[[nodiscard]] auto gather(Range&& tasks, const GatherOptions& options) {
  return detail::gather_outcomes(detail::tasks_of(tasks), options.return_exceptions);
}

/// Awaits several awaitables at a time, to use each result as it comes:
///
///     auto pages = as_completed(std::move(downloads));
///     while (std::optional<Page> page = co_await pages.next()) show(*page);
///
/// The first next() starts all. next() returns an empty std::optional after the last one, throws
/// the error of one that has failed, after which it may be called again, and TimedOut when the
/// time, which counts from the first next(), is over. Only one next() at a time. Cancelling next()
/// ends this wait only, and an object that is destroyed leaves the awaitables running. It must
/// outlive its next(), and be destroyed before the io_context.
template <detail::AwaitableRange Range>
[[nodiscard]] auto as_completed(Range&& tasks, TimeLimit timeout = {}) {
  return detail::CompletedTasks<detail::AwaitedOf<Range>>(detail::tasks_of(tasks), timeout);
}

/// Awaits an awaitable for that time, a duration or a number of seconds. After that it cancels it,
/// waits for its end, and throws TimedOut, unless it has ended in another way than by being
/// cancelled. Without a time limit it only awaits it.
template <class T>
[[nodiscard]] boost::asio::awaitable<T> wait_for(boost::asio::awaitable<T> task,
                                                 TimeLimit timeout) {
  return detail::wait_for<T>(std::move(task), timeout);
}

/// A coroutine with a cache in front of it: what `memory.cache(f)` makes of a function that returns
/// an awaitable, where this header is included.
///
///     asio::awaitable<Page> fetch(std::string url);
///     const auto cached = memory.cache(fetch);
///     const Page page = co_await cached("http://...");
///
/// The contract is that of CachedFunction, but: an awaited call reads and stores entries in the
/// thread that runs the coroutine, which blocks for as long. Of the awaits of this process that ask
/// for one result at a time, one computes it and the others wait without a thread; if it throws or
/// is cancelled, the next one computes. Other processes are not waited for. Cached functions that
/// the coroutine calls are not recorded as its dependencies. Arguments that are passed by const
/// reference are copied, as the awaitable may begin after the call. A coroutine must not await its
/// own result.
template <class F, class R, class Executor, class... Ps>
class [[nodiscard]] CachedCoroutine<F, boost::asio::awaitable<R, Executor>(Ps...)> {
 public:
  using Result = R;

  /// Awaited, it returns the stored result, or else computes and stores it.
  [[nodiscard]] boost::asio::awaitable<R, Executor> operator()(Ps... args) const {
    return detail::run_cached<F, R, Executor, Ps...>(state_, std::forward<Ps>(args)...);
  }
  /// These are not awaited; as in CachedFunction.
  [[nodiscard]] bool check_call_in_cache(Ps... args) const {
    Frame frame(state_->function, std::forward<Ps>(args)...);
    return detail::ask_cache(*state_->cache, frame, &detail::CallCache::is_cached);
  }
  [[nodiscard]] std::optional<detail::Shelvable<R>> cached_result(Ps... args) const {
    Frame frame(state_->function, std::forward<Ps>(args)...);
    if (!detail::ask_cache(*state_->cache, frame, &detail::CallCache::read)) return std::nullopt;
    return std::move(frame.result);
  }
  void put(detail::Shelvable<R> value, Ps... args) const {
    Frame frame(state_->function, std::forward<Ps>(args)...);
    frame.result.emplace(std::move(value));
    detail::ask_cache(*state_->cache, frame, &detail::CallCache::put);
  }
  void clear() const { state_->cache->clear(); }
  [[nodiscard]] const std::string& name() const { return state_->cache->name(); }

 private:
  friend class Memory;
  using Frame = detail::CallFrame<F, R, Ps...>;

  CachedCoroutine(const std::shared_ptr<detail::memory::MemoryCore>& memory, F f,
                  const CacheOptions& options)
      : state_(std::make_shared<const detail::CoroutineState<F>>(
            memory, f, detail::open_cache<F, Ps...>(memory, f, __PRETTY_FUNCTION__, options))) {}

  std::shared_ptr<const detail::CoroutineState<F>> state_;
};

}  // namespace hoist
