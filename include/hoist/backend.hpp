// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

// How to add a backend. The dispatcher has all behaviour (order, batches, windows, errors, retries,
// timeouts, progress); a backend fetches batches from it and brings back what became of them:
//
//   class Mine : public Backend        what it is: name, traits, and open()
//   class MySession : public Session   one loop on it: wake(), work(), stop()
//
// docs/examples/custom_backend is one of about 100 lines.

namespace hoist {

struct ParallelOptions;

namespace detail {
class Encoder;
class Decoder;
/// Runs one portable call in another process (hoist/detail/task.hpp).
using RunCall = void (*)(void* callable, Decoder& from, Encoder& result);
using OpenCallable = std::shared_ptr<void> (*)(Decoder& from);
/// Takes over what Loop::encode_context wrote.
void enter_context(Decoder& from);
}  // namespace detail

using Clock = std::chrono::steady_clock;

/// Tasks first, first + 1, ..., last - 1 of a loop.
struct TaskRange {
  std::size_t first = 0;
  std::size_t last = 0;
  std::size_t size() const noexcept { return last - first; }
};

/// What a worker of another process needs to run a task: `open` is null where the callable is sent
/// with every task, otherwise it is sent once (`LoopTasks::encode_callable`).
struct PortableCode {
  detail::RunCall run = nullptr;
  detail::OpenCallable open = nullptr;
};

/// Who is told what happens to tasks that run in this process; the dispatcher makes it.
class TaskRun {
 public:
  virtual ~TaskRun();
  virtual void begin(std::size_t task) = 0;
  virtual void end(std::size_t task) = 0;
  /// True: go on with the next task.
  virtual bool failed(std::size_t task, std::exception_ptr error) = 0;

  /// Set: return before the next task, or the next `stride` of them.
  const std::atomic<bool>* attention = nullptr;
  /// More than 1 only where so many tasks take about a microsecond.
  std::size_t stride = 1;
  /// Whether begin() and end() are wanted.
  bool each = false;
};

/// The tasks of a loop, free of their types. Different tasks may be used from different threads.
class LoopTasks {
 public:
  virtual ~LoopTasks();
  /// Runs tasks here and keeps their results here. Returns the first task not run.
  virtual std::size_t run(TaskRange tasks, TaskRun& run) = 0;
  /// Reads one more task from the input, in the thread that made the loop; false at its end. Only
  /// for inputs that are read as the loop goes.
  virtual bool read() = 0;

  /// Throws CannotTravel where results can't be sent to another process.
  virtual void check_results() const = 0;
  /// The result of a task that ran here. Throws CannotTravel where its type can't be sent.
  virtual void encode_result(std::size_t task, detail::Encoder& to) = 0;
  virtual void decode_result(std::size_t task, detail::Decoder& from) = 0;
  /// Drops a task whose result was encoded, or that nobody wants.
  virtual void discard_result(std::size_t task) = 0;

  /// What runs the task in another process of the same program. Throws CannotTravel, naming argument
  /// and type, where the types alone forbid it.
  virtual PortableCode portable(std::size_t task) const = 0;
  /// The callable all tasks share, where PortableCode::open is set.
  virtual void encode_callable(detail::Encoder& to) const = 0;
  /// The arguments of a task, preceded by its callable where that isn't shared.
  virtual void encode_task(std::size_t task, detail::Encoder& to) const = 0;
};

/// One worker of a session, as the dispatcher sees it. A backend makes one for each.
struct Worker {
  unsigned number = 0;  ///< 0, 1, ...: its row in traces
  int pid = 0;          ///< of a worker process; 0: a thread of this one
  // The dispatcher's own, for the size of the next batch.
  std::size_t batch = 1;
  double task_seconds = -1;
};

/// Results that come from elsewhere, one after another.
class TaskResults {
 public:
  virtual ~TaskResults();
  /// What holds the next one, valid until the next call.
  virtual detail::Decoder& next() = 0;
};

/// A running loop, as backends see it. All functions may be called from any thread.
class Loop {
 public:
  virtual ~Loop();

  /// As given, with the surrounding ParallelConfig's where nothing was.
  virtual const ParallelOptions& options() const noexcept = 0;
  /// How many workers to use.
  virtual unsigned n_jobs() const noexcept = 0;
  virtual LoopTasks& tasks() noexcept = 0;
  /// Tasks known by now: those before it may be taken, or have been.
  virtual std::size_t known() const noexcept = 0;
  /// The owner reads input or takes results in between, and should not run long tasks itself.
  virtual bool owner_is_busy() const noexcept = 0;
  /// Whether the times given to arrived() and failed() are looked at; else they may be left out.
  virtual bool times_tasks() const noexcept = 0;
  /// Whether somebody looks at each task, when it ran and for how long; else the time of several in a
  /// row will do.
  virtual bool watches_tasks() const noexcept = 0;
  /// Whether there is something to take, in passing.
  virtual bool available() const noexcept = 0;
  /// Nothing more is to be started: an error, a time limit, a cancelled generator.
  virtual bool stopping() const noexcept = 0;
  /// Every task known by now is done, and none is running.
  virtual bool idle() = 0;

  /// The next tasks for a worker, which must then be run, reported or given back. False: none now.
  virtual bool take(TaskRange& tasks, Worker& worker) = 0;
  /// Returns tasks that were not begun.
  virtual void give_back(TaskRange tasks) = 0;

  /// Called by a worker of this process that finds nothing to take: batches that run elsewhere in it
  /// are then split.
  virtual void hungry() = 0;
  /// Makes this thread one in which tasks run: for a child process that runs them itself
  /// (`tasks().run`) rather than by `run`.
  virtual void enter_tasks() = 0;
  /// Likewise for another process of the program, which gives what is written here to
  /// detail::enter_context before it runs tasks.
  virtual void encode_context(detail::Encoder& to) const = 0;
  /// Runs tasks here, and reports them.
  virtual void run(TaskRange tasks, Worker& worker) = 0;

  /// The results of tasks that ran elsewhere one after the other, from `began` on for `seconds` in all.
  virtual void arrived(TaskRange tasks, Worker& worker, TaskResults& results,
                       Clock::time_point began, double seconds) = 0;
  /// The result of one task.
  void arrived(std::size_t task, Worker& worker, detail::Decoder& result, Clock::time_point began,
               double seconds);
  /// The failure of a task that ran elsewhere. It may be run again (`retries`).
  virtual void failed(std::size_t task, Worker& worker, std::exception_ptr error,
                      Clock::time_point began, double seconds) = 0;

  /// Counts what the owner of the loop should look at; read it before looking.
  virtual unsigned epoch() const noexcept = 0;
  /// Sleeps until the epoch is no longer `seen`, or the deadline.
  virtual void wait(unsigned seen, Clock::time_point deadline) = 0;
  /// Ends the wait.
  virtual void signal() = 0;
};

/// One loop on a backend. Used by the thread that owns the loop, one call at a time.
class Session {
 public:
  virtual ~Session();
  /// More tasks may be taken: set workers on them, without waiting. From any thread.
  virtual void wake(std::size_t tasks) = 0;
  /// Makes one step: runs a batch, or moves messages, or sleeps (`loop.wait(seen, deadline)` or the
  /// like) until something happened or the deadline has passed.
  virtual void work(unsigned seen, Clock::time_point deadline) = 0;
  /// Ends the sleep of work() after the epoch has changed, where that sleep isn't loop.wait(). From
  /// any thread.
  virtual void interrupt() noexcept {}
  /// Returns when nothing of the loop runs any more; nothing is started afterwards. Kills what can be
  /// killed.
  virtual void stop() = 0;
};

struct BackendTraits {
  /// Tasks see and may change the caller's objects.
  bool shares_memory = true;
  /// Tasks are taken by the caller alone, so input is read one by one.
  bool sequential = false;
  /// Workers see only those tasks that were known when they were started.
  bool inherits_tasks = false;
  /// A running task can be ended, which `task_timeout` then does.
  bool kills_tasks = false;
  /// How long a batch should take: short for balance, long against the cost of a message.
  double batch_seconds = 200e-6;
};

/// A way to run tasks. Thread-safe; lives until the process ends.
class Backend {
 public:
  virtual ~Backend();
  virtual BackendTraits traits() const = 0;
  /// Starts workers for a loop, which outlives the session.
  virtual std::unique_ptr<Session> open(Loop& loop) = 0;
};

/// Makes a backend known by a name, for `ParallelOptions::backend` and HOIST_BACKEND. The factory is
/// called once, at first use. Throws BadArgument for an empty name or factory, and for a name that is
/// taken. Thread-safe.
void register_backend(std::string name, std::function<std::shared_ptr<Backend>()> factory);
/// The names known, sorted.
std::vector<std::string> backend_names();
/// Throws BadArgument that lists the known names.
std::shared_ptr<Backend> find_backend(std::string_view name);

}  // namespace hoist
