// SPDX-License-Identifier: BSD-3-Clause
#include "parallel/loop_state.hpp"

#include <hoist/error.hpp>

#include <algorithm>
#include <string>
#include <utility>

#include "base/seconds_text.hpp"
#include "os/cpu.hpp"
#include "workers/worker_state.hpp"

namespace hoist {

TaskRun::~TaskRun() = default;
LoopTasks::~LoopTasks() = default;
TaskResults::~TaskResults() = default;
Loop::~Loop() = default;
Session::~Session() = default;
Backend::~Backend() = default;
unsigned Backend::usable_workers() const {
  return static_cast<unsigned>(detail::os::usable_cores());
}

void Loop::depends_on(detail::Decoder&) {}

bool Loop::run_all(Worker& worker) {
  TaskRange tasks;
  bool any = false;
  while (take(tasks, worker)) {
    run(tasks, worker);
    any = true;
  }
  return any;
}

void Loop::arrived(std::size_t task, Worker& worker, detail::Decoder& result,
                   Clock::time_point began, double seconds) {
  class One final : public TaskResults {
   public:
    explicit One(detail::Decoder& decoder) : decoder_(decoder) {}
    detail::Decoder& next() override { return decoder_; }

   private:
    detail::Decoder& decoder_;
  };
  One one(result);
  arrived({task, task + 1}, worker, one, began, seconds);
}

namespace detail::parallel {

namespace {

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

/// How many very short tasks run between two checks of `attention`: few, since any may turn out
/// long.
constexpr double most_unattended = 64;

/// Loops inside tasks are part of these.
status::SlotState status_kind(const Settings& settings, Deliver deliver) {
  if (settings.inner.level > 1) return status::SlotState::free;
  return deliver == Deliver::futures ? status::SlotState::executor : status::SlotState::loop;
}

}  // namespace

void OwnerEvents::add() {
  const std::lock_guard lock(mutex_);
  count_.fetch_add(1);
  // Under the lock: the owner may end the loop as soon as it gets it.
  changed_.notify_all();
}

void OwnerEvents::wait(unsigned seen, Clock::time_point deadline) {
  std::unique_lock lock(mutex_);
  const auto changed = [&] { return count_.load() != seen; };
  if (deadline == Clock::time_point::max()) {
    changed_.wait(lock, changed);
  } else {
    changed_.wait_until(lock, deadline, changed);
  }
}

void check_task_time(std::size_t task, Clock::time_point began, const TimeLimit& limit) {
  if (!limit.is_set()) return;
  const double seconds = seconds_since(began);
  if (seconds <= limit.seconds()) return;
  throw TimedOut("task " + std::to_string(task) + " took " + base::seconds_text(seconds) +
                 ", more than the task_timeout of " + base::seconds_text(limit.seconds()));
}

/// Records each task of a batch that runs in this process.
class LoopState::Run final : public TaskRun {
 public:
  Run(LoopState& loop, Worker& worker, unsigned attempt) : loop_(loop), worker_(worker) {
    attention = &loop.stop_.attention();
    if (worker.task_seconds >= 0) {
      stride =
          static_cast<std::size_t>(std::clamp(1e-6 / worker.task_seconds, 1.0, most_unattended));
    }
    each = loop.needs_task_times();
    may_repeat = loop.options().retries > 0;
    info.worker = worker.number;
    info.attempt = attempt;
    const TimeLimit& limit = loop.options().task_timeout;
    if (!limit.is_set()) return;
    clock.limit =
        std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(limit.seconds()));
    overseen_.emplace(loop.stop_, clock);
  }

  void begin(std::size_t task) override {
    began_ = Clock::now();
    clock.task.store(task, std::memory_order_relaxed);
    clock.began.store(began_, std::memory_order_relaxed);
  }

  void end(std::size_t task) override {
    const double seconds = seconds_since(began_);
    clock.began.store(Clock::time_point::max(), std::memory_order_relaxed);
    // Tasks after it in this batch must not begin when the loop's time is over.
    if (loop_.stop_.has_deadline() && loop_.stop_.check_deadline()) loop_.signal();
    check_task_time(task, began_, loop_.options().task_timeout);
    if (loop_.trace_ != nullptr) loop_.trace_->task(task, worker_, began_, seconds);
    loop_.complete(task, seconds);
  }

  bool failed(std::size_t task, std::exception_ptr error) override {
    clock.began.store(Clock::time_point::max(), std::memory_order_relaxed);
    const double seconds = each ? seconds_since(began_) : 0;
    if (loop_.trace_ != nullptr) loop_.trace_->task(task, worker_, began_, seconds, error);
    ++failures;
    return loop_.record_failure(task, std::move(error), seconds);
  }

  std::size_t failures = 0;
  TaskClock clock;

 private:
  LoopState& loop_;
  Worker& worker_;
  Clock::time_point began_;
  std::optional<StopControl::Overseen> overseen_;
};

LoopState::LoopState(const Settings& settings, LoopTasks& tasks, Deliver deliver, bool reads,
                     Trace* trace)
    : settings_(settings),
      tasks_(tasks),
      reads_(reads),
      trace_(trace),
      sizer_(settings),
      outcomes_(settings.options, deliver),
      stop_(settings, outcomes_),
      worker_states_(settings.options.workers.initializer),
      published_(status_kind(settings, deliver), settings.backend_name, settings.n_jobs,
                 needs_batch_times()) {}

void LoopState::enter_tasks() {
  LoopContext context = settings_.inner;
  // The parent's is out of reach: the child tells what it adds.
  if (context.dependencies != nullptr) {
    context.dependencies = std::make_shared<memory::DependencyLog>();
  }
  // Who stops the loop kills the child.
  context.stop = nullptr;
  set_context(std::move(context));
  os::limit_inner_threads(settings_.inner_threads);
}

void LoopState::encode_context(Encoder& to) const {
  const ParallelOptions& options = settings_.options;
  TravellingContext context;
  context.level = settings_.inner.level;
  context.jobs = settings_.inner.jobs;
  if (settings_.inner.config) {
    context.n_jobs = settings_.inner.config->n_jobs;
    context.backend = settings_.inner.config->backend;
  }
  context.inner_threads = settings_.inner_threads.threads;
  context.temp_folder = options.temp_folder;
  if (settings_.inner.dependencies != nullptr) {
    context.log = settings_.inner.dependencies->number();
  }
  send_context(context, to);
}

void LoopState::depends_on(Decoder& from) {
  std::vector<CacheDependency> called;
  Form<std::vector<CacheDependency>>::traverse(from, called);
  if (settings_.inner.dependencies == nullptr) return;
  for (const CacheDependency& one : called) settings_.inner.dependencies->add(one);
}

bool LoopState::take(TaskRange& tasks, Worker& worker) {
  check_times();
  if (stopping()) return false;
  const bool taken = queue_.take(
      tasks, [&](std::size_t available) { return sizer_.next(worker, available); },
      // Another worker may have settled the last tasks meanwhile, and not seen that they were.
      [&] { signal(); });
  if (!taken) return false;
  if (const std::size_t alike = outcomes_.alike(tasks); alike < tasks.last) {
    queue_.give_back({std::exchange(tasks.last, alike), tasks.last});
  }
  tasks_.taken(tasks);
  trace_taken(tasks, worker);
  return true;
}

/// Of batches that run elsewhere only the beginning is known.
void LoopState::trace_taken(TaskRange tasks, const Worker& worker) {
  if (trace_ != nullptr && !settings_.traits.shares_memory) {
    trace_->batch(tasks, worker, Clock::now(), 0);
  }
}

void LoopState::give_back(TaskRange tasks) {
  if (tasks.size() == 0) return;
  queue_.give_back(tasks);
  signal();
  if (session_ != nullptr && !stopping()) session_->wake(1);
}

void LoopState::request_split() {
  if (sizer_.is_automatic() && divisible_.load() > 0) stop_.interrupt_batches();
}

void LoopState::run(TaskRange tasks, Worker& worker) {
  const ContextScope scope(settings_.inner);
  const os::InnerThreads inner(settings_.inner_threads);
  run_in_scope(tasks, worker);
}

bool LoopState::run_all(Worker& worker) {
  TaskRange tasks;
  if (!take(tasks, worker)) return false;
  const ContextScope scope(settings_.inner);
  const os::InnerThreads inner(settings_.inner_threads);
  do {
    run_in_scope(tasks, worker);
  } while (take(tasks, worker));
  return true;
}

void LoopState::run_in_scope(TaskRange tasks, Worker& worker) {
  WorkerState* state = nullptr;
  try {
    state = worker_states_.of(worker);
  } catch (...) {
    // As in a worker process: it is the error of the task that the worker came for.
    give_back({tasks.first + 1, tasks.last});
    return failed(tasks.first, worker, std::current_exception(), Clock::now(), 0);
  }
  const workers::WorkerStateScope state_scope(state);
  Run run(*this, worker, attempt(tasks));
  const TaskScope task_scope(&run.info);
  if (settings_.options.task_timeout.is_set()) loop_context().clock = &run.clock;
  const bool divisible = tasks.size() > 1;
  if (divisible) divisible_.fetch_add(1);
  const bool timed = needs_batch_times();
  const Clock::time_point began = timed ? Clock::now() : Clock::time_point();
  const std::size_t end = tasks_.run(tasks, run);
  const double seconds = timed ? seconds_since(began) : 0;
  if (divisible) divisible_.fetch_sub(1);
  const std::size_t ran = end - tasks.first;
  if (timed) {
    sizer_.note(worker, ran, seconds);
    published_.add_busy(seconds);
  }
  if (trace_ != nullptr) trace_->batch(tasks, worker, began, seconds);
  if (end < tasks.last) {
    if (!stopping()) {
      // It was cut short because another worker is idle: both start again with small batches.
      stop_.resume_batches();
      worker.batch = 1;
      give_back({end, tasks.last});
    } else {
      queue_.settle(tasks.last - end);
    }
  }
  settle(ran, ran - run.failures);
}

void LoopState::settle(std::size_t tasks, std::size_t done) {
  const std::size_t finished = outcomes_.count_done(done);
  published_.add_done(done, outcomes_.failed_count());
  // Of those that may be taken now: who takes the others will settle them.
  const bool last = queue_.settle(tasks);
  if (last || outcomes_.tracks_tasks() || stopping() || finished >= call_owner_at_.load()) signal();
}

void LoopState::arrived(TaskRange tasks, Worker& worker, TaskResults& results,
                        Clock::time_point began, double seconds) {
  if (stop_.has_deadline() && stop_.check_deadline()) signal();
  std::size_t done = 0;
  for (std::size_t task = tasks.first; task < tasks.last; ++task) {
    try {
      tasks_.decode_result(task, results.next());
    } catch (...) {
      record_remote_failure(task, worker, std::current_exception(), began, seconds);
      continue;
    }
    ++done;
    if (trace_ != nullptr) trace_->task(task, worker, began, seconds);
    complete(task, seconds);
  }
  sizer_.note(worker, done, seconds);
  published_.add_busy(seconds);
  settle(tasks.size(), done);
}

void LoopState::failed(std::size_t task, Worker& worker, std::exception_ptr error,
                       Clock::time_point began, double seconds) {
  record_remote_failure(task, worker, std::move(error), began, seconds);
  settle(1, 0);
}

void LoopState::record_remote_failure(std::size_t task, Worker& worker, std::exception_ptr error,
                                      Clock::time_point began, double seconds) {
  if (trace_ != nullptr) trace_->task(task, worker, began, seconds, error);
  record_failure(task, std::move(error), seconds);
}

bool LoopState::record_failure(std::size_t task, std::exception_ptr error, double seconds) {
  // A loop inside the task may have obeyed the token, and ended the task, before this loop did.
  if (settings_.options.stop_token.stop_requested()) stop_.fail({interrupted(stopped_by_token)});
  const bool may_retry = !stopping() && tasks_.is_wanted(task);
  switch (outcomes_.fail(task, error, seconds, may_retry)) {
    case Outcomes::Verdict::retry: queue_.retry(task); return true;
    case Outcomes::Verdict::recorded: tasks_.failed(task, error); return true;
    case Outcomes::Verdict::fatal: break;
  }
  stop_.fail({std::move(error), task});
  signal();
  return false;
}

std::exception_ptr LoopState::interrupted(const char* why) const {
  return std::make_exception_ptr(
      Interrupted(why + (" (tasks done: " + std::to_string(outcomes_.finished_count()) + ")")));
}

void LoopState::check_times() {
  if (stop_.check_all()) signal();
}

void LoopState::interrupt(const char* why) {
  stop_.fail({interrupted(why)});
  signal();
  session_->interrupt();
}

void LoopState::call_owner_after(std::size_t tasks) {
  if (tasks == unread) published_.set_total(queue_.released());  // the input has ended
  call_owner_at_.store(tasks == unread ? unread : outcomes_.finished_count() + tasks);
}

std::optional<std::size_t> LoopState::pop_completed() {
  return outcomes_.pop_completed([this](std::size_t task) { tasks_.discard_result(task); });
}

}  // namespace detail::parallel
}  // namespace hoist
