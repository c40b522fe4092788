// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/requirements.hpp>

#include <hoist/byte_size.hpp>
#include <hoist/mmap_mode.hpp>
#include <hoist/worker_options.hpp>

#include <algorithm>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <type_traits>
#include <utility>

namespace hoist {

/// Selects the automatic setting of an option.
struct Automatic {};
inline constexpr Automatic automatic;  ///< `.batch_size = automatic`, for instance

/// An option that knows whether it was set. A value that was set precedes that of a surrounding
/// ParallelConfig, even if it equals the default. Converts from and to `T`.
template <class T>
class Setting {
 public:
  /// Not set: a default-constructed T.
  constexpr Setting() = default;
  constexpr Setting(T value) : value_(std::move(value)), set_(true) {}
  template <class U>
    requires(std::convertible_to<U &&, T> && !std::same_as<std::remove_cvref_t<U>, T> &&
             !std::same_as<std::remove_cvref_t<U>, Setting>)
  constexpr Setting(U&& value) : value_(static_cast<T>(std::forward<U>(value))), set_(true) {}
  /// Not set, with another default.
  static constexpr Setting by_default(T value) {
    Setting setting(std::move(value));
    setting.set_ = false;
    return setting;
  }

  constexpr bool is_set() const noexcept { return set_; }  ///< Whether it was set, and the value.
  constexpr const T& get() const noexcept { return value_; }
  constexpr operator const T&() const noexcept { return value_; }

 private:
  T value_{};
  bool set_ = false;
};

/// Likewise, and usable like the optional.
template <class T>
class Setting<std::optional<T>> : public std::optional<T> {
 public:
  constexpr Setting() = default;
  template <class U>
    requires(std::convertible_to<U &&, std::optional<T>> &&
             !std::same_as<std::remove_cvref_t<U>, Setting>)
  constexpr Setting(U&& value) : std::optional<T>(std::forward<U>(value)), set_(true) {}
  static constexpr Setting by_default(std::optional<T> value) {
    Setting setting(std::move(value));
    setting.set_ = false;
    return setting;
  }

  constexpr bool is_set() const noexcept { return set_; }  ///< As above.
  constexpr const std::optional<T>& get() const noexcept { return *this; }

 private:
  bool set_ = false;
};

/// A time limit: a chrono duration, or a number of seconds. It must be positive; limits above 10^9
/// s (30 years) are treated as that. std::nullopt is no limit, also within a ParallelConfig that
/// has one.
class TimeLimit {
 public:
  TimeLimit() = default;
  TimeLimit(std::nullopt_t) : given_(true) {}
  template <class T>
    requires std::is_arithmetic_v<T>
  TimeLimit(T seconds) : seconds_(std::min(static_cast<double>(seconds), most)), given_(true) {}
  template <class Rep, class Period>
  TimeLimit(std::chrono::duration<Rep, Period> limit)
      : TimeLimit(std::chrono::duration<double>(limit).count()) {}
  /// True if there is a limit.
  bool is_set() const noexcept { return seconds_.has_value(); }
  /// True if a limit, or none, was asked for.
  bool is_given() const noexcept { return given_; }
  double seconds() const { return *seconds_; }

 private:
  static constexpr double most = 1e9;  // clocks count nanoseconds in 64 bits

  std::optional<double> seconds_;
  bool given_ = false;
};

/// How many tasks are read from the input before the first ones are done: a number of tasks, "all",
/// or an expression in n_jobs (+ - * / // % ** and parentheses) that counts batches (in a generator
/// tasks, unless `batch_size` is set).
class PreDispatch {
 public:
  /// "2*n_jobs", or what suits the backend better.
  PreDispatch() : text_("2*n_jobs"), automatic_(true) {}
  PreDispatch(std::integral auto tasks) : text_(std::to_string(tasks)), tasks_(true) {}
  PreDispatch(const char* text) : text_(text) {}
  PreDispatch(std::string text) : text_(std::move(text)) {}
  const std::string& text() const noexcept { return text_; }
  bool counts_tasks() const noexcept { return tasks_; }
  bool is_automatic() const noexcept { return automatic_; }

 private:
  std::string text_;
  bool tasks_ = false;
  bool automatic_ = false;
};

/// How many tasks a worker gets at a time.
class BatchSize {
 public:
  BatchSize(Automatic) {}
  BatchSize(std::integral auto tasks) : tasks_(static_cast<long long>(tasks)) {}
  bool is_automatic() const noexcept { return !tasks_; }
  long long tasks() const { return *tasks_; }

 private:
  std::optional<long long> tasks_;
};

/// The state of a loop, for progress callbacks.
struct ProgressReport {
  std::size_t done = 0;              ///< tasks with a result
  std::size_t failed = 0;            ///< tasks without further retries
  std::optional<std::size_t> total;  ///< once known
  double seconds = 0;                ///< since the loop started
  bool finished = false;             ///< the last report of this loop
  unsigned workers = 0;              ///< that the loop has, or may have if its backend can't say
  unsigned machines = 0;             ///< that these are on; 0 if on this one
};

/// `true` shows a progress bar on stderr (plain lines if that is not a terminal). A function is
/// called by the thread that owns the loop, at most ten times a second and once at the end.
class Progress {
 public:
  /// Off, and not set.
  Progress() = default;
  Progress(std::same_as<bool> auto on) : bar_(on), set_(true) {}
  template <class F>
    requires std::invocable<F&, const ProgressReport&>
  Progress(F callback) : callback_(std::move(callback)), set_(true) {}
  bool bar() const noexcept { return bar_; }
  const std::function<void(const ProgressReport&)>& callback() const noexcept { return callback_; }
  bool is_set() const noexcept { return set_; }

 private:
  bool bar_ = false;
  std::function<void(const ProgressReport&)> callback_;
  bool set_ = false;
};

/// What a loop does after a failed task (and its retries).
enum class OnError : unsigned char {
  raise,   ///< the first failure stops the loop and is thrown
  finish,  ///< all tasks are run; failures are then thrown together, as LoopErrors
};
/// What becomes of tasks whose machine vanishes, which is not their fault; they may have run.
enum class OnLostHost : unsigned char {
  rerun,  ///< they run on another; a task that was on three such machines fails
  fail,   ///< they fail with WorkerDied, for tasks that must not run twice
};
/// A preference, which applies to outermost loops for which neither the options, a ParallelConfig
/// nor HOIST_BACKEND names a backend; `processes` means "spawn".
enum class Prefer : unsigned char { none, threads, processes };
/// A requirement; naming a backend that does not meet it is a BadArgument.
enum class Require : unsigned char { none, shared_memory };

/// Options of a parallel loop. Every field has a default; ParallelConfig changes defaults for a
/// scope. What is set here precedes it, even if it equals the default; an empty `backend` or
/// `temp_folder`, and an empty `n_jobs`, are not set.
struct ParallelOptions {
  /// Number of workers: -1 all usable cores, -2 all but one, ...; more than the number of cores is
  /// allowed. If not set: the surrounding ParallelConfig's, otherwise HOIST_N_JOBS, otherwise all
  /// usable cores.
  std::optional<int> n_jobs = {};
  /// "sequential", "threads", "fork", "spawn", a registered name, or joblib's name for one of these
  /// ("threading", "multiprocessing", "loky"). If empty: the surrounding ParallelConfig's,
  /// otherwise HOIST_BACKEND, otherwise what `prefer` and `require` select: threads by default.
  std::string backend = {};
  Setting<Prefer> prefer = {};
  Setting<Require> require = {};
  /// Bounds lazily read input, and the work ahead of a generator's consumer. By default "2*n_jobs"
  /// batches; on "fork", whose children only know what was read when they were forked, a generator
  /// reads twice as many tasks each time until they take 20 ms.
  PreDispatch pre_dispatch = {};
  /// By default batches follow the duration of tasks.
  BatchSize batch_size = automatic;
  /// For the whole loop. When it is over, running tasks are waited for (threads) or killed
  /// (processes), and the call throws TimedOut, which has the results of the tasks that were done.
  TimeLimit timeout = {};
  /// For each task, from its start. The task fails with TimedOut, and its worker is killed
  /// (processes). A thread can't be killed: if failures end the loop, the loop fails at once but
  /// returns only when the task has ended (long ones should poll stop_requested()); otherwise the
  /// task fails when it ends.
  TimeLimit task_timeout = {};
  /// Cancels this loop when a stop is requested of it, by any thread: running tasks are waited for
  /// (threads; they see stop_requested()) or killed (processes), loops inside them stop likewise,
  /// and the call throws Interrupted. In a ParallelConfig: of the loops that have none themselves.
  std::stop_token stop_token = {};
  /// Verbosity as in joblib: 1 few messages, 10 many, above 10 one for every task; to stdout from
  /// 50 on.
  Setting<int> verbose = {};
  /// Off by default; see Progress.
  Progress progress = {};
  /// Arguments of at least this size are passed to processes through shared memory, without copying
  /// them for each task; results likewise. 1 MiB by default; std::nullopt shares none.
  Setting<std::optional<ByteSize>> max_nbytes =
      Setting<std::optional<ByteSize>>::by_default(ByteSize(std::size_t{1} << 20));
  /// How processes see such arguments: copy_on_write (the default) gives each its own version once
  /// it writes, read forbids writing (tasks take Array<const T>), read_write shares one copy or
  /// file among all tasks, none makes a copy for each task. Arrays of any size that are mapped
  /// read_write from a file (open_array, load) or made by Array::shared stay so with each mode:
  /// what tasks write reaches the file and the other tasks.
  Setting<MmapMode> mmap_mode = Setting<MmapMode>::by_default(MmapMode::copy_on_write);
  /// Folder for such arguments if shared memory is short. If empty: HOIST_TEMP_FOLDER, TMPDIR,
  /// /tmp.
  std::string temp_folder = {};
  /// Threads that OpenMP, BLAS libraries and oneTBB may use inside a task. 0 means usable cores /
  /// n_jobs, unless the environment sets their number.
  Setting<unsigned> inner_max_num_threads = {};
  /// How often a failed task is run again, with the arguments as they were given: on threads and
  /// fork, a task that may change its arguments then works on a copy of them. A task that takes
  /// what can't be copied by value, or as T&&, is a BadArgument there.
  unsigned retries = 0;
  /// Applies to calls that return plain results; `outcomes` always runs all tasks.
  OnError on_error = OnError::raise;
  /// For backends on several machines.
  OnLostHost on_lost_host = OnLostHost::rerun;
  /// File to which the start and end of every task are written in the Chrome trace format; `hoist
  /// trace` displays it.
  std::string trace = {};
  /// Fork even if the program has other running threads. Tasks may then do only what is safe after
  /// fork(2) in a multithreaded program.
  bool force_fork = false;
  /// Properties of workers: the initializer of all, the others of spawned processes.
  WorkerOptions workers = {};
};

namespace detail {
/// Throws BadArgument for values that are invalid in any loop.
void check_options(const ParallelOptions& options);
}  // namespace detail

}  // namespace hoist
