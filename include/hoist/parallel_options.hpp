// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/byte_size.hpp>
#include <hoist/dump.hpp>
#include <hoist/worker.hpp>

#include <algorithm>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

namespace hoist {

/// Stands for "find it out".
struct Automatic {};
inline constexpr Automatic automatic;

/// A time limit: a chrono duration, or a number of seconds. Must be positive; more than some 30 years
/// are as good as no limit.
class TimeLimit {
 public:
  TimeLimit() = default;
  template <class T>
    requires std::is_arithmetic_v<T>
  TimeLimit(T seconds) : seconds_(std::min(static_cast<double>(seconds), most)) {}
  template <class Rep, class Period>
  TimeLimit(std::chrono::duration<Rep, Period> limit)
      : TimeLimit(std::chrono::duration<double>(limit).count()) {}
  bool is_set() const noexcept { return seconds_.has_value(); }
  double seconds() const { return *seconds_; }

 private:
  static constexpr double most = 1e9;  // clocks count nanoseconds in 64 bits

  std::optional<double> seconds_;
};

/// How many tasks are read from the input before the first are done: a number of tasks, "all", or an
/// expression in n_jobs (+ - * / // % ** and parentheses) that counts batches.
class PreDispatch {
 public:
  PreDispatch(std::integral auto tasks) : text_(std::to_string(tasks)), tasks_(true) {}
  PreDispatch(const char* text) : text_(text) {}
  PreDispatch(std::string text) : text_(std::move(text)) {}
  const std::string& text() const noexcept { return text_; }
  bool counts_tasks() const noexcept { return tasks_; }

 private:
  std::string text_;
  bool tasks_ = false;
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

/// State of a loop, for progress callbacks.
struct ProgressReport {
  std::size_t done = 0;              ///< with a result
  std::size_t failed = 0;            ///< for good
  std::optional<std::size_t> total;  ///< once known
  double seconds = 0;                ///< since the loop began
  bool finished = false;             ///< the last report of this loop
};

/// `true`: a bar on stderr (plain lines where that is no terminal). Or a function, called by the
/// thread that owns the loop at most ten times a second, and once at the end.
class Progress {
 public:
  Progress(std::same_as<bool> auto on) : bar_(on) {}
  template <class F>
    requires std::invocable<F&, const ProgressReport&>
  Progress(F callback) : callback_(std::move(callback)) {}
  bool bar() const noexcept { return bar_; }
  const std::function<void(const ProgressReport&)>& callback() const noexcept { return callback_; }

 private:
  bool bar_ = false;
  std::function<void(const ProgressReport&)> callback_;
};

enum class OnError : unsigned char {
  raise,   ///< the first failure stops the loop and is thrown
  finish,  ///< all tasks are run; failures are then thrown together, as LoopErrors
};
/// A wish, met where no backend is named.
enum class Prefer : unsigned char { none, threads, processes };
/// A condition; a named backend that does not meet it is a BadArgument.
enum class Require : unsigned char { none, shared_memory };

struct ParallelOptions {
  /// Workers: -1 all usable cores, -2 all but one, ...; more than there are cores is allowed. Unset:
  /// the surrounding ParallelConfig's, else HOIST_N_JOBS, else all usable cores.
  std::optional<int> n_jobs = {};
  /// "sequential", "threads", "fork", "spawn" or a registered name. Empty: the surrounding
  /// ParallelConfig's, else HOIST_BACKEND, else what `prefer` and `require` allow: threads.
  std::string backend = {};
  Prefer prefer = Prefer::none;
  Require require = Require::none;
  PreDispatch pre_dispatch = "2*n_jobs";
  BatchSize batch_size = automatic;
  /// For the whole loop. Running tasks are waited for (threads) or killed (processes); then TimedOut.
  TimeLimit timeout = {};
  /// For each task, from its start. It fails with TimedOut, and its worker is killed (processes). On
  /// threads nothing can be killed: the loop ends at once if failures end it, and returns when the task
  /// has ended, which may ask stop_requested(); otherwise the task fails when it ends.
  TimeLimit task_timeout = {};
  /// Messages as joblib's: 1 few, 10 many, above that for every task; to stdout from 50 on.
  int verbose = 0;
  Progress progress = false;
  /// Arguments from this size on are handed to processes without copying them for each task, and results
  /// handed over as they are.
  std::optional<ByteSize> max_nbytes = ByteSize(std::size_t{1} << 20);
  /// How processes see them: their own as they write (copy_on_write), not to be written (read: tasks
  /// take Array<const T>), one copy or file for all tasks (read_write), a copy for each (none).
  MmapMode mmap_mode = MmapMode::copy_on_write;
  /// Where they lie if shared memory is short; else HOIST_TEMP_FOLDER, TMPDIR, /tmp.
  std::filesystem::path temp_folder = {};
  /// Threads that OpenMP, BLAS libraries and oneTBB may use inside a task; 0: usable cores / n_jobs,
  /// unless the environment says otherwise.
  unsigned inner_max_num_threads = 0;
  /// How often a failed task is run again.
  unsigned retries = 0;
  OnError on_error = OnError::raise;
  /// File for the life of every task in the Chrome trace format; see `hoist trace`.
  std::filesystem::path trace = {};
  /// Fork even though other threads of the program run: only what is safe after fork(2) in a program
  /// with threads may then be done in tasks.
  bool force_fork = false;
  /// What spawned worker processes are like.
  WorkerOptions workers = {};
};

namespace detail {
/// Throws BadArgument for values that are wrong wherever they stand.
void check_options(const ParallelOptions& options);
}  // namespace detail

}  // namespace hoist
