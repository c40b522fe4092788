// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/requirements.hpp>

#include <hoist/detail/pool_map.hpp>
#include <hoist/executor.hpp>

#include <cstddef>
#include <exception>
#include <functional>
#include <map>
#include <optional>
#include <ranges>
#include <string>
#include <type_traits>
#include <utility>

// The pool of Python's multiprocessing:
//
//     Pool pool({.processes = 4});
//     std::vector<double> squares = pool.map(square, numbers);
//     AsyncResult<int> sum = pool.apply_async(add, 1, 2);
//     for (Page& page : pool.imap_unordered(download, addresses)) store(page);
//     pool.close();
//     pool.join();
//
// Unlike there, a worker that dies fails only what it ran (WorkerDied), an initializer that throws
// fails the call that the worker came for, and nothing waits for ever.

namespace hoist {

/// Options of a Pool.
struct PoolOptions {
  /// Number of workers; by default all usable cores, inside a parallel loop a share of them.
  std::optional<int> processes = {};
  /// Runs once in each worker before its first call; see WorkerOptions.
  WorkerInitializer initializer = {};
  /// A worker exits after this many calls (of apply, or chunks of map) and is replaced; 0: never.
  std::size_t max_tasks = 0;
  StartMethod start_method = StartMethod::spawn;
  std::map<std::string, std::string> env = {};
  /// For each call or chunk, as in ExecutorOptions.
  unsigned retries = 0;
  TimeLimit task_timeout = {};
};

/// What an asynchronous call calls in the thread of callbacks (hoist/future.hpp): one of these.
template <class R>
struct AsyncOptions {
  /// With the result; with nothing for void.
  detail::ResultCallback<R> callback = {};
  /// With the exception, also if the call was cancelled.
  std::function<void(const std::exception_ptr&)> error_callback = {};
};

/// The result of an asynchronous call. Copies refer to the same one. Thread-safe.
template <class R>
class AsyncResult {
 public:
  AsyncResult() = default;
  /// For Pool.
  explicit AsyncResult(Future<R> future) : future_(std::move(future)) {}

  /// Waits for the result. Throws what the call has thrown, and TimedOut if it isn't there in time.
  detail::ResultReference<R> get(TimeLimit timeout = {}) const& { return future_.result(timeout); }
  R get(TimeLimit timeout = {}) && { return std::move(future_).result(timeout); }
  /// Waits until it is done; false if it isn't in time.
  bool wait(TimeLimit timeout = {}) const { return future_.wait(timeout); }
  [[nodiscard]] bool ready() const { return future_.done(); }
  /// Whether there is a result, and no exception. Throws BadArgument if it isn't ready.
  [[nodiscard]] bool successful() const {
    if (!ready()) detail::throw_not_ready();
    return future_.exception() == nullptr;
  }
  /// The same as a Future.
  [[nodiscard]] const Future<R>& future() const noexcept { return future_; }

 private:
  Future<R> future_;
};

/// A pool of worker processes. Thread-safe, but for the destructor. All functions that take calls
/// throw BadArgument after close() and terminate(). Function and elements are copied, and must be
/// able to travel (hoist/values.hpp).
class Pool {
 public:
  /// Throws BadArgument for options that can't be met. Starts no process yet.
  explicit Pool(const PoolOptions& options = {});
  explicit Pool(int processes) : Pool(PoolOptions{.processes = processes}) {}
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;
  /// As terminate(). So ends the program, too.
  ~Pool();

  /// Calls f(args...) in a worker and waits for the result.
  template <class F, class... Args>
  auto apply(F&& f, Args&&... args) {
    return handle_.submit(std::forward<F>(f), std::forward<Args>(args)...).result();
  }
  /// The same without waiting: an AsyncResult.
  template <class F, class... Args>
    requires(!detail::is_delayed<std::decay_t<F>>)
  auto apply_async(F&& f, Args&&... args) {
    return result_of(handle_.submit(std::forward<F>(f), std::forward<Args>(args)...), {});
  }
  /// Of a call that is made already, with callbacks: apply_async(delayed(f)(1), {.callback = g}).
  template <class F, class... Args>
  auto apply_async(Delayed<F, Args...> call,
                   const AsyncOptions<detail::CallResult<F, Args...>>& options = {}) {
    return result_of(handle_.submit_call(std::move(call)), options);
  }

  /// Calls f with every element of a range, which is read at once, and returns a vector of the
  /// results in order. `chunksize` elements are sent as one call; by default a quarter of a
  /// worker's equal share, rounded up. All calls are made; then the first error is thrown.
  template <class F, std::ranges::input_range Range>
  auto map(F f, Range&& range, std::optional<std::size_t> chunksize = {}) {
    auto calls = detail::submit_chunks(handle_, std::move(f), range, chunksize);
    return calls.collect();
  }
  /// The same without waiting: an AsyncResult of the vector.
  template <class F, std::ranges::input_range Range>
  auto map_async(F f, Range&& range, std::optional<std::size_t> chunksize = {},
                 const AsyncOptions<detail::MapResult<F, Range>>& options = {}) {
    return result_of(detail::submit_chunks(handle_, std::move(f), range, chunksize).future(),
                     options);
  }
  /// Calls f(a, b, ...) with the elements of every tuple of a range; otherwise as map.
  template <class F, std::ranges::input_range Range>
  auto starmap(F f, Range&& range, std::optional<std::size_t> chunksize = {}) {
    return map(detail::Spread<F>{std::move(f)}, std::forward<Range>(range), chunksize);
  }
  template <class F, std::ranges::input_range Range>
  auto starmap_async(
      F f, Range&& range, std::optional<std::size_t> chunksize = {},
      const AsyncOptions<detail::MapResult<detail::Spread<F>, Range>>& options = {}) {
    return map_async(detail::Spread<F>{std::move(f)}, std::forward<Range>(range), chunksize,
                     options);
  }

  /// The results in order as a Generator. The range, which may be endless, is read as results are
  /// taken, twice as many chunks ahead as there are workers; if it isn't a temporary, it must
  /// outlive the generator. An exception of reading it comes after the results before it. A
  /// generator that is dropped, or has thrown, cancels the calls that have not begun.
  template <class F, std::ranges::input_range Range>
  [[nodiscard]] auto imap(F f, Range&& range, std::size_t chunksize = 1) {
    return detail::map_on<true>(handle_, std::forward<Range>(range), std::move(f), {}, chunksize,
                                ahead(chunksize));
  }
  /// Likewise, as they get ready.
  template <class F, std::ranges::input_range Range>
  [[nodiscard]] auto imap_unordered(F f, Range&& range, std::size_t chunksize = 1) {
    return detail::map_on<false>(handle_, std::forward<Range>(range), std::move(f), {}, chunksize,
                                 ahead(chunksize));
  }

  /// Takes no more calls. Those that were submitted are finished.
  void close() { handle_.shut_down(false, false); }
  /// Ends all calls at once: their results are Cancelled, and the workers killed. A call that runs
  /// on a thread sees stop_requested() and is waited for.
  void terminate() { handle_.kill("Pool::terminate()"); }
  /// Waits until all calls are over, and their callbacks. Throws BadArgument before close() and
  /// terminate().
  void join();

  /// The number of workers.
  [[nodiscard]] unsigned processes() const { return handle_.workers(); }
  /// For hoist.
  const detail::ExecutorHandle& handle() const noexcept { return handle_; }

 protected:
  explicit Pool(detail::ExecutorHandle handle) : handle_(std::move(handle)) {}

 private:
  std::size_t ahead(std::size_t chunksize) const { return chunksize * handle_.workers() * 2; }
  template <class R>
  static AsyncResult<R> result_of(Future<R> future, const AsyncOptions<R>& options) {
    detail::call_back(future, options.callback, options.error_callback);
    return AsyncResult<R>(std::move(future));
  }

  detail::ExecutorHandle handle_;
};

/// The same on threads of this process; `max_tasks`, `start_method` and `env` are BadArgument.
class ThreadPool : public Pool {
 public:
  explicit ThreadPool(const PoolOptions& options = {});
  explicit ThreadPool(int processes) : ThreadPool(PoolOptions{.processes = processes}) {}
};

}  // namespace hoist
