// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/requirements.hpp>

#include <hoist/detail/executor_handle.hpp>
#include <hoist/detail/executor_map.hpp>
#include <hoist/future.hpp>
#include <hoist/generator.hpp>
#include <hoist/parallel_options.hpp>
#include <hoist/start_method.hpp>

#include <chrono>
#include <cstddef>
#include <map>
#include <optional>
#include <ranges>
#include <string>
#include <utility>

// Calls that run beside the program, as in Python's concurrent.futures:
//
//     ProcessPoolExecutor workers({.max_workers = 4});
//     Future<double> area = workers.submit(integrate, f, 0.0, 1.0);
//     for (double root : workers.map(numbers, [](double x) { return std::sqrt(x); })) use(root);
//     workers.shutdown();  // as the destructor does
//
// An executor is a parallel loop that stays open: what hoist/parallel.hpp says of backends,
// workers, arguments and results holds here, too. A worker that dies fails only the call that it
// made.

namespace hoist {

/// Options of ThreadPoolExecutor, ProcessPoolExecutor and get_reusable_executor.
struct ExecutorOptions {
  /// Number of workers; -1 all usable cores, -2 all but one, ... By default all usable cores, with
  /// four more for threads (at most 32); inside a parallel loop or another executor its share.
  std::optional<int> max_workers = {};
  /// Runs once in each worker before its first call; see WorkerOptions.
  WorkerInitializer initializer = {};
  /// A worker process exits after this many calls and is replaced; 0: never.
  std::size_t max_tasks = 0;
  /// `spawn`, or `fork`: workers are forked as calls are submitted, and see the program's memory as
  /// it is then. `forkserver` is a BadArgument.
  StartMethod start_method = StartMethod::spawn;
  /// Environment variables of worker processes, in addition to those of this process.
  std::map<std::string, std::string> env = {};
  /// How often a failed call is made again, with the same arguments.
  unsigned retries = 0;
  /// For each call, from its start; then it fails with TimedOut, and its worker process is killed.
  TimeLimit task_timeout = {};
  /// Lets Future::cancel() kill the worker process that makes the call.
  bool kill_on_cancel = false;
  /// A worker process exits after this long without a call.
  std::chrono::milliseconds idle_timeout = std::chrono::minutes(5);
};

/// Options of Executor::map.
struct MapOptions {
  /// For all results, from the call of map on.
  TimeLimit timeout = {};
  /// Calls that are sent to a worker as one, which pays for many short ones.
  std::size_t chunksize = 1;
  /// How many calls may be under way or wait to be consumed; 0: all are submitted at once.
  std::size_t buffersize = 0;
};

/// Options of Executor::shutdown.
struct ShutdownOptions {
  /// Waits until all calls are over, and their callbacks.
  bool wait = true;
  /// Cancels those that have not begun.
  bool cancel_futures = false;
};

/// What all executors can do. Thread-safe, but for the destructor. Calls may submit further calls
/// and wait for them. A forked child of the program has an executor of its own in its place; the
/// futures of its parent's calls are cancelled there.
class Executor {
 public:
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;
  /// As shutdown(): waits until all calls are over, unless it was shut down without that. In one of
  /// its own calls it doesn't wait.
  virtual ~Executor();

  /// Makes the call f(args...) in a worker, with copies of function and arguments (delayed in
  /// hoist/delayed.hpp has the rules). Throws BadArgument after shutdown(), and SystemError where
  /// no worker can be started at all. Cost: less than a microsecond on threads.
  template <class F, class... Args>
  auto submit(F&& f, Args&&... args) {
    return handle_.submit(std::forward<F>(f), std::forward<Args>(args)...);
  }
  /// The same for a call that is made already: delayed(f)(args...).
  template <class F, class... Args>
  auto submit(Delayed<F, Args...> call) {
    return handle_.submit_call(std::move(call));
  }

  /// Calls f with every element of a range, and returns the results in order, as a Generator. All
  /// calls are submitted before map() returns, or `buffersize` of them, and the others as results
  /// are taken: then the range may be endless, and is read by the consumer; if it isn't a
  /// temporary, it must outlive the generator. The first error, and TimedOut, is thrown from an
  /// increment. A generator that is dropped, or has thrown, cancels the calls that have not begun.
  template <std::ranges::input_range Range, class F>
  [[nodiscard]] auto map(Range&& range, F f, const MapOptions& options = {}) {
    return detail::map_on(handle_, std::forward<Range>(range), std::move(f), options.timeout,
                          options.chunksize, options.buffersize);
  }

  /// Takes no more calls. Those that were submitted are finished, in the background if it doesn't
  /// wait. Throws BadArgument in one of its own calls with `wait`.
  void shutdown(const ShutdownOptions& options = {}) {
    handle_.shut_down(options.wait, options.cancel_futures);
  }
  /// Ends all calls at once: their futures are cancelled, and worker processes killed. A call that
  /// runs on a thread sees stop_requested() and is waited for. Takes no more calls.
  void terminate_workers() { handle_.kill("terminate_workers()"); }
  /// The same: hoist kills workers with all that they have started.
  void kill_workers() { handle_.kill("kill_workers()"); }

  /// The number of workers.
  [[nodiscard]] unsigned max_workers() const { return handle_.workers(); }
  /// For hoist.
  const detail::ExecutorHandle& handle() const noexcept { return handle_; }

 protected:
  explicit Executor(detail::ExecutorHandle handle) : handle_(std::move(handle)) {}

  detail::ExecutorHandle handle_;
};

/// Calls on threads of this process. A call of a function that shares no state with others is
/// cheapest here.
class ThreadPoolExecutor : public Executor {
 public:
  /// Throws BadArgument for options that can't be met, also for those of processes.
  explicit ThreadPoolExecutor(const ExecutorOptions& options = {});
  explicit ThreadPoolExecutor(int max_workers)
      : ThreadPoolExecutor(ExecutorOptions{.max_workers = max_workers}) {}
};

/// Calls in worker processes.
class ProcessPoolExecutor : public Executor {
 public:
  /// Throws BadArgument for options that can't be met. Starts no process yet.
  explicit ProcessPoolExecutor(const ExecutorOptions& options = {});
  explicit ProcessPoolExecutor(int max_workers)
      : ProcessPoolExecutor(ExecutorOptions{.max_workers = max_workers}) {}
};

/// Calls on any backend, with all options of loops but `timeout` and `stop_token`. Those that are
/// about input and results (pre_dispatch, on_error, progress, verbose, trace) have no effect.
class BackendExecutor : public Executor {
 public:
  explicit BackendExecutor(std::string backend, ParallelOptions options = {});
};

/// The executor of worker processes that all parts of the program share, as in loky. With other
/// options than the last time it goes on with workers of these; what was submitted before is
/// finished with the old ones. If it was shut down, it begins anew. Thread-safe; the reference is
/// valid until the program ends.
ProcessPoolExecutor& get_reusable_executor(const ExecutorOptions& options = {});

}  // namespace hoist
