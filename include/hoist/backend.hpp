// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/requirements.hpp>

#include <hoist/backend_tasks.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

// How to add a backend. The dispatcher implements all behaviour (order, batches, windows, errors,
// retries, timeouts, progress); a backend fetches batches from it and reports their results:
//
//     class Mine : public Backend        what it is: name, traits, and open()
//     class MySession : public Session   one loop on it: wake(), work(), stop()
//
// docs/examples/custom_backend is a complete backend of about 100 lines.

namespace hoist {

struct ParallelOptions;

namespace detail {
/// Decodes what Loop::encode_context wrote, in the process that will run tasks.
void enter_context(Decoder& from);
/// In a process that has entered a context, between tasks: writes which cached functions its tasks
/// have called since the last time, for Loop::depends_on. False if there is nothing to write.
bool encode_dependencies(Encoder& to);
}  // namespace detail

/// The clock of deadlines.
using Clock = std::chrono::steady_clock;

/// One worker of a session, as the dispatcher sees it. A backend makes one for each of its workers.
struct Worker {
  unsigned number = 0;       ///< 0, 1, ...; its row in traces
  int pid = 0;               ///< process id of a worker process; 0 for a thread of this process
  std::string machine = {};  ///< where it is, for traces; empty: on this machine
  std::size_t batch = 1;     ///< for the dispatcher, which sizes the next batch
  double task_seconds = -1;  ///< likewise
};

/// The encoded results of several tasks, in their order.
class TaskResults {
 public:
  virtual ~TaskResults();
  /// A decoder of the next result, valid until the next call.
  virtual detail::Decoder& next() = 0;
};

/// A running loop, as backends see it. Thread-safe.
class Loop {
 public:
  virtual ~Loop();

  /// The options as given, with the surrounding ParallelConfig's for those that are not set.
  virtual const ParallelOptions& options() const noexcept = 0;
  /// The number of workers to use.
  virtual unsigned n_jobs() const noexcept = 0;
  /// True if these are all there are, so that those that come later are to be used, too.
  virtual bool uses_all_workers() const noexcept { return false; }
  /// The tasks themselves.
  virtual LoopTasks& tasks() noexcept = 0;
  /// The number of tasks known so far, which may be taken, or have been.
  virtual std::size_t known() const noexcept = 0;
  /// True if the owner of the loop has other things to do, and should run no long tasks itself.
  virtual bool owner_is_busy() const noexcept = 0;
  /// True if the times passed to arrived() and failed() are used; otherwise they may be omitted.
  virtual bool needs_batch_times() const noexcept = 0;
  /// True if the time of each task is used; otherwise one for several consecutive tasks is enough.
  virtual bool needs_task_times() const noexcept = 0;
  /// True if tasks can probably be taken. A cheap check without a lock.
  virtual bool available() const noexcept = 0;
  /// True if no more tasks are to be started: an error, a time limit, a cancelled generator.
  virtual bool stopping() const noexcept = 0;
  /// True if every task known so far is done and none is running.
  virtual bool idle() = 0;

  /// Takes the next tasks for a worker, which must run, report or give them back. False if none.
  virtual bool take(TaskRange& tasks, Worker& worker) = 0;
  /// Which attempt at these tasks, which take() gave in one range, is the next: 1 for the first.
  virtual unsigned attempt(TaskRange tasks) = 0;
  /// Returns tasks that were not started.
  virtual void give_back(TaskRange tasks) = 0;
  /// For a worker of this process that finds nothing to take: splits batches that others run here.
  virtual void request_split() = 0;
  /// Marks this thread as one that runs tasks, in a child process that calls `tasks().run` itself.
  virtual void enter_tasks() = 0;
  /// The same for another process, which passes this to detail::enter_context first.
  virtual void encode_context(detail::Encoder& to) const = 0;
  /// Runs tasks in this process and reports them.
  virtual void run(TaskRange tasks, Worker& worker) = 0;
  /// Takes and runs tasks until there are none. False if it found none at all.
  virtual bool run_all(Worker& worker);

  /// Reports results of tasks in a row that ran elsewhere, from `began` on for `seconds` in all.
  virtual void arrived(TaskRange tasks, Worker& worker, TaskResults& results,
                       Clock::time_point began, double seconds) = 0;
  /// Reports the result of one task.
  void arrived(std::size_t task, Worker& worker, detail::Decoder& result, Clock::time_point began,
               double seconds);
  /// Reports the failure of a task that ran elsewhere. The task may be run again (`retries`).
  virtual void failed(std::size_t task, Worker& worker, std::exception_ptr error,
                      Clock::time_point began, double seconds) = 0;

  /// Takes what detail::encode_dependencies wrote in a worker process: the computation around the
  /// loop, if it is of a cached function, depends on that. Call it before the results of these
  /// tasks are reported.
  virtual void depends_on(detail::Decoder& from);

  /// A counter that changes when the owner of the loop has something to check. Read it before
  /// checking.
  virtual unsigned epoch() const noexcept = 0;
  /// Sleeps until the epoch differs from `seen`, or until the deadline; signal() ends that.
  virtual void wait(unsigned seen, Clock::time_point deadline) = 0;
  virtual void signal() = 0;

  /// Former names.
  bool times_tasks() const noexcept { return needs_batch_times(); }
  bool watches_tasks() const noexcept { return needs_task_times(); }
  void hungry() { request_split(); }
};

/// The workers of a session, and the machines that they are on; 0 if that is this one.
struct WorkerCount {
  unsigned workers = 0;
  unsigned machines = 0;
};

/// One loop on a backend. Used by one thread at a time, the owner of the loop.
class Session {
 public:
  virtual ~Session();
  /// More tasks may be taken: assigns them to workers, without waiting.
  virtual void wake(std::size_t tasks) = 0;
  /// Makes one step: runs a batch, or moves messages, or sleeps (by `loop.wait(seen, deadline)`,
  /// say) until something happens or the deadline passes.
  virtual void work(unsigned seen, Clock::time_point deadline) = 0;
  /// Ends the sleep of work() when the epoch has changed, unless it is loop.wait(). Thread-safe.
  virtual void interrupt() noexcept {}
  /// Those there are now, for `progress`. Where nothing is said it shows `Loop::n_jobs`.
  virtual WorkerCount workers() const { return {}; }
  /// Kills the worker that has taken the task, now or when it begins it, and so fails the task. For
  /// backends that can (BackendTraits::kills_tasks).
  virtual void kill(std::size_t) {}
  /// Ends the loop on this backend: kills what can be killed, starts nothing more, and returns when
  /// nothing of the loop is running.
  virtual void stop() = 0;
};

/// What the dispatcher has to know of a backend.
struct BackendTraits {
  /// Tasks see the caller's objects and may change them.
  bool shares_memory = true;
  /// Only the caller takes tasks, so input is read one by one.
  bool sequential = false;
  /// Workers see only the tasks that were known when the workers were started.
  bool inherits_tasks = false;
  /// A running task can be killed, which `task_timeout` then does.
  bool kills_tasks = false;
  /// Workers take and report tasks while nobody calls Session::work(); wake() is thread-safe.
  bool works_alone = false;
  /// Each worker has the cores of its machine, or of its job, to itself: loops and libraries inside
  /// tasks may use them all.
  bool own_cores = false;
  /// Target duration of a batch: short for load balance, long compared with the cost of a message.
  double batch_seconds = 200e-6;
};

/// A way to run tasks. Thread-safe.
class Backend {
 public:
  virtual ~Backend();
  /// Its properties; always the same.
  virtual BackendTraits traits() const = 0;
  /// How many workers n_jobs = -1 asks for: by default the usable cores of this process.
  virtual unsigned usable_workers() const;
  /// Starts workers for a loop, which outlives the session.
  virtual std::unique_ptr<Session> open(Loop& loop) = 0;
};

/// Registers a backend under a name, for `ParallelOptions::backend` and HOIST_BACKEND. The factory
/// is called at first use; of several made by threads at once, one is kept. Throws BadArgument for
/// an empty name or factory, and for a name that is taken. Thread-safe.
void register_backend(std::string name, std::function<std::shared_ptr<Backend>()> factory);
/// The registered names, sorted.
std::vector<std::string> backend_names();
/// The backend of that name; joblib's names are known too: "loky" is "spawn", "threading" and
/// "local" are "threads", "multiprocessing" is "fork". Throws BadArgument, which lists the known
/// names, if there is none.
std::shared_ptr<Backend> find_backend(std::string_view name);

}  // namespace hoist
