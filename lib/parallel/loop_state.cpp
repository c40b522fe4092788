// SPDX-License-Identifier: BSD-3-Clause
#include "parallel/loop_state.hpp"

#include <hoist/error.hpp>

#include <algorithm>
#include <string>
#include <utility>

#include "base/seconds_text.hpp"

namespace hoist {

TaskRun::~TaskRun() = default;
LoopTasks::~LoopTasks() = default;
TaskResults::~TaskResults() = default;
Loop::~Loop() = default;
Session::~Session() = default;
Backend::~Backend() = default;

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

/// Tasks between two looks for attention, where tasks are very short: any of them may turn out long.
constexpr double most_unattended = 64;

Clock::duration to_duration(const TimeLimit& limit) {
  return std::chrono::duration_cast<Clock::duration>(
      std::chrono::duration<double>(limit.seconds()));
}

}  // namespace

/// What is to be done about each task of a batch that runs here.
class LoopState::Run final : public TaskRun {
 public:
  Run(LoopState& loop, Worker& worker) : loop_(loop), worker_(worker) {
    attention = &loop.attention_;
    if (worker.task_seconds >= 0) {
      stride =
          static_cast<std::size_t>(std::clamp(1e-6 / worker.task_seconds, 1.0, most_unattended));
    }
    const TimeLimit& limit = loop.options().task_timeout;
    each = loop.watches_tasks();
    if (!limit.is_set()) return;
    clock.limit = to_duration(limit);
    const std::lock_guard lock(loop_.mutex_);
    loop_.overseen_.push_back(this);
  }
  ~Run() override {
    if (clock.limit == Clock::duration::zero()) return;
    const std::lock_guard lock(loop_.mutex_);
    std::erase(loop_.overseen_, this);
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
    if (loop_.deadline_) loop_.check_deadline();
    if (const TimeLimit& limit = loop_.options().task_timeout;
        limit.is_set() && seconds > limit.seconds()) {
      throw TimedOut("task " + std::to_string(task) + " took " + base::seconds_text(seconds) +
                     ", more than the task_timeout of " + base::seconds_text(limit.seconds()));
    }
    ++done;
    if (loop_.trace_ != nullptr) loop_.trace_->task(task, worker_, began_, seconds, false);
    if (loop_.tracked()) loop_.completed(task, seconds);
  }

  bool failed(std::size_t task, std::exception_ptr error) override {
    clock.began.store(Clock::time_point::max(), std::memory_order_relaxed);
    const double seconds = each ? seconds_since(began_) : 0;
    if (loop_.trace_ != nullptr) loop_.trace_->task(task, worker_, began_, seconds, true);
    ++failures;
    return loop_.record_failure(task, std::move(error), seconds);
  }

  std::size_t done = 0;
  std::size_t failures = 0;
  TaskClock clock;
  std::size_t noticed = unread;  // the last task that was found overdue

 private:
  LoopState& loop_;
  Worker& worker_;
  Clock::time_point began_;
};

LoopState::LoopState(const Settings& settings, LoopTasks& tasks, Deliver deliver, bool reads,
                     Trace* trace)
    : settings_(settings),
      tasks_(tasks),
      deliver_(deliver),
      reads_(reads),
      trace_(trace),
      stop_(*settings.inner.stop) {}

void LoopState::enter_tasks() {
  loop_context() = settings_.inner;
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
  context.mmap_mode = static_cast<unsigned>(options.mmap_mode);
  context.temp_folder = options.temp_folder.string();
  send_context(context, to);
}

bool LoopState::idle() {
  if (outstanding_.load() != 0 || next_.load() != limit_.load()) return false;
  const std::lock_guard lock(mutex_);
  // In this order: tasks are counted as outstanding before they are taken, and as returned before
  // they cease to be outstanding.
  return next_.load() == limit_.load() && outstanding_.load() == 0 && returned_.empty();
}

std::size_t LoopState::share(const Worker& worker, std::size_t left) const {
  if (settings_.batch != 0) return std::min(settings_.batch, left);
  if (settings_.options.task_timeout.is_set() && settings_.traits.kills_tasks) return 1;
  const std::size_t fair = left / (std::size_t{2} * settings_.n_jobs);
  return std::clamp<std::size_t>(worker.batch, 1, std::max<std::size_t>(1, fair));
}

bool LoopState::take(TaskRange& tasks, Worker& worker) {
  check_stops();
  if (stopping()) return false;
  if (has_returned_.load(std::memory_order_acquire) && take_returned(tasks, worker)) return true;
  std::size_t at = next_.load();
  for (;;) {
    const std::size_t limit = limit_.load();
    if (at >= limit) return false;
    const std::size_t n = share(worker, limit - at);
    outstanding_.fetch_add(n);
    if (next_.compare_exchange_weak(at, at + n)) {
      tasks = {at, at + n};
      note_taken(tasks, worker);
      return true;
    }
    // Another worker may have settled the last tasks meanwhile, and not seen that they were.
    if (outstanding_.fetch_sub(n) == n) signal();
  }
}

bool LoopState::take_returned(TaskRange& tasks, const Worker& worker) {
  const std::lock_guard lock(mutex_);
  if (returned_.empty()) return false;
  TaskRange& back = returned_.back();
  const std::size_t n = share(worker, back.size());
  tasks = {back.first, back.first + n};
  back.first += n;
  if (back.size() == 0) returned_.pop_back();
  has_returned_.store(!returned_.empty());
  outstanding_.fetch_add(n);
  note_taken(tasks, worker);
  return true;
}

/// Of batches that run elsewhere only the beginning is known.
void LoopState::note_taken(TaskRange tasks, const Worker& worker) {
  if (trace_ != nullptr && !settings_.traits.shares_memory) {
    trace_->batch(tasks, worker, Clock::now(), 0);
  }
}

void LoopState::give_back(TaskRange tasks) {
  if (tasks.size() == 0) return;
  {
    const std::lock_guard lock(mutex_);
    returned_.push_back(tasks);
    has_returned_.store(true);
    outstanding_.fetch_sub(tasks.size());
  }
  signal();
  if (session_ != nullptr && !stopping()) session_->wake(1);
}

void LoopState::hungry() {
  if (settings_.batch == 0 && divisible_.load() > 0) attention_.store(true);
}

void LoopState::run(TaskRange tasks, Worker& worker) {
  const ContextScope scope(settings_.inner);
  const os::InnerThreads inner(settings_.inner_threads);
  Run run(*this, worker);
  if (settings_.options.task_timeout.is_set()) loop_context().clock = &run.clock;
  const bool divisible = tasks.size() > 1;
  if (divisible) divisible_.fetch_add(1);
  const Clock::time_point began = Clock::now();
  const std::size_t end = tasks_.run(tasks, run);
  const double seconds = seconds_since(began);
  if (divisible) divisible_.fetch_sub(1);
  const std::size_t ran = end - tasks.first;
  adapt(worker, ran, seconds);
  if (trace_ != nullptr) trace_->batch(tasks, worker, began, seconds);
  if (end < tasks.last) {
    if (!stopping()) {
      // Somebody has nothing to do: both begin again with small batches.
      attention_.store(false);
      if (stopping()) attention_.store(true);
      worker.batch = 1;
      give_back({end, tasks.last});
    } else {
      outstanding_.fetch_sub(tasks.last - end);
    }
  }
  settle(ran, ran - run.failures);
}

void LoopState::adapt(Worker& worker, std::size_t tasks, double seconds) {
  if (tasks == 0 || settings_.batch != 0) return;
  const double sample = seconds / static_cast<double>(tasks);
  double& mean = worker.task_seconds;
  mean = mean < 0 ? sample : 0.5 * mean + 0.5 * sample;
  const double wanted = settings_.traits.batch_seconds / std::max(mean, 1e-11);
  const double most = 4.0 * static_cast<double>(worker.batch);
  worker.batch = static_cast<std::size_t>(std::clamp(wanted, 1.0, most));
  batch_hint_.store(worker.batch, std::memory_order_relaxed);
}

void LoopState::settle(std::size_t tasks, std::size_t done) {
  const std::size_t finished = done_.fetch_add(done) + done + lost_.load();
  // Of those that may be taken now: who takes the others will settle them.
  const bool last = outstanding_.fetch_sub(tasks) == tasks && next_.load() == limit_.load();
  if (last || tracked() || stopping() || finished >= call_at_.load()) signal();
}

void LoopState::arrived(TaskRange tasks, Worker& worker, TaskResults& results,
                        Clock::time_point began, double seconds) {
  std::size_t done = 0;
  for (std::size_t task = tasks.first; task < tasks.last; ++task) {
    try {
      tasks_.decode_result(task, results.next());
    } catch (...) {
      lose(task, worker, std::current_exception(), began, seconds);
      continue;
    }
    ++done;
    if (trace_ != nullptr) trace_->task(task, worker, began, seconds, false);
    if (tracked()) completed(task, seconds);
  }
  adapt(worker, done, seconds);
  settle(tasks.size(), done);
}

void LoopState::failed(std::size_t task, Worker& worker, std::exception_ptr error,
                       Clock::time_point began, double seconds) {
  lose(task, worker, std::move(error), began, seconds);
  settle(1, 0);
}

void LoopState::lose(std::size_t task, Worker& worker, std::exception_ptr error,
                     Clock::time_point began, double seconds) {
  if (trace_ != nullptr) trace_->task(task, worker, began, seconds, true);
  record_failure(task, std::move(error), seconds);
}

void LoopState::completed(std::size_t task, double seconds) {
  const std::lock_guard lock(mutex_);
  TaskAccount& account = accounts_[task];
  account.done = true;
  account.seconds = seconds;
  account.attempts = 1;
  if (const auto before = attempts_.find(task); before != attempts_.end()) {
    account.attempts += before->second;
    attempts_.erase(before);
  }
  if (deliver_ == Deliver::as_completed) completed_.push_back(task);
}

bool LoopState::record_failure(std::size_t task, std::exception_ptr error, double seconds) {
  const std::lock_guard lock(mutex_);
  const unsigned attempts = ++attempts_[task];
  if (attempts <= settings_.options.retries && !stopping()) {
    returned_.push_back({task, task + 1});
    has_returned_.store(true);
    return true;
  }
  attempts_.erase(task);
  lost_.fetch_add(1);
  if (deliver_ == Deliver::outcomes) {
    accounts_[task] = {attempts, seconds, std::move(error), false};
    return true;
  }
  if (settings_.options.on_error == OnError::finish) {
    failures_[task] = {task, attempts, std::move(error)};
    if (tracked()) accounts_[task] = {attempts, seconds, nullptr, false};
    return true;
  }
  end_with(std::move(error));
  return false;
}

/// Call with the mutex held.
void LoopState::end_with(std::exception_ptr error) {
  if (!error_) error_ = std::move(error);
  stop();
  // The owner itself may be about to sleep.
  epoch_.fetch_add(1);
  changed_.notify_all();
}

void LoopState::check_stops() {
  if (stopping()) return;
  if (stop_.outer != nullptr && stop_.outer->requested()) {
    const std::lock_guard lock(mutex_);
    end_with(std::make_exception_ptr(Interrupted("the loop around this one was stopped")));
  }
  check_times();
}

void LoopState::check_times() {
  if (deadline_) check_deadline();
  if (settings_.options.task_timeout.is_set() && !settings_.traits.kills_tasks) check_overdue();
}

void LoopState::check_deadline() {
  if (Clock::now() < *deadline_) return;
  const std::lock_guard lock(mutex_);
  if (stopping()) return;
  end_with(
      std::make_exception_ptr(TimedOut("the loop was not done within its timeout of " +
                                       base::seconds_text(settings_.options.timeout.seconds()) +
                                       " (tasks done: " + std::to_string(finished()) + ")")));
}

/// Threads can't be ended, but what comes after them can be spared: where a task's failure is the
/// loop's, the loop ends when the time of the task is over, not when the task is.
void LoopState::check_overdue() {
  if (deliver_ == Deliver::outcomes || settings_.options.on_error == OnError::finish) return;
  const Clock::time_point now = Clock::now();
  const std::lock_guard lock(mutex_);
  for (Run* run : overseen_) {
    const std::size_t task = run->clock.task.load();
    if (run->noticed == task || now < run->clock.overdue_at()) continue;
    run->noticed = task;
    const auto before = attempts_.find(task);
    if ((before != attempts_.end() ? before->second : 0) < settings_.options.retries) continue;
    end_with(std::make_exception_ptr(
        TimedOut("task " + std::to_string(task) + " was still running after its task_timeout of " +
                 base::seconds_text(settings_.options.task_timeout.seconds()))));
  }
}

Clock::time_point LoopState::next_overdue() {
  const TimeLimit& limit = settings_.options.task_timeout;
  if (!limit.is_set() || settings_.traits.kills_tasks || stopping())
    return Clock::time_point::max();
  // Tasks that are yet to begin can't be overdue before one that begins now.
  Clock::time_point next = Clock::now() + to_duration(limit);
  const std::lock_guard lock(mutex_);
  for (const Run* run : overseen_) {
    if (run->noticed != run->clock.task.load()) next = std::min(next, run->clock.overdue_at());
  }
  return next;
}

void LoopState::stop() {
  stop_.set.store(true);
  attention_.store(true);
}

void LoopState::interrupt() {
  {
    const std::lock_guard lock(mutex_);
    end_with(std::make_exception_ptr(
        Interrupted("the loop was interrupted (tasks done: " + std::to_string(finished()) + ")")));
  }
  signal();
  session_->interrupt();
}

void LoopState::call_owner_after(std::size_t tasks) {
  call_at_.store(tasks == unread ? unread : finished() + tasks);
}

void LoopState::wait(unsigned seen, Clock::time_point deadline) {
  std::unique_lock lock(mutex_);
  const auto changed = [&] { return epoch_.load() != seen; };
  if (deadline == Clock::time_point::max()) {
    changed_.wait(lock, changed);
  } else {
    changed_.wait_until(lock, deadline, changed);
  }
}

void LoopState::signal() {
  {
    const std::lock_guard lock(mutex_);
    epoch_.fetch_add(1);
    // Under the lock: the owner may end the loop as soon as it gets it.
    changed_.notify_all();
  }
}

std::exception_ptr LoopState::error() {
  const std::lock_guard lock(mutex_);
  return error_;
}

std::vector<TaskFailure> LoopState::failures() {
  const std::lock_guard lock(mutex_);
  std::vector<TaskFailure> all;
  for (const auto& [task, failure] : failures_) all.push_back(failure);
  return all;
}

TaskAccount LoopState::account(std::size_t task) {
  const std::lock_guard lock(mutex_);
  const auto found = accounts_.find(task);
  return found != accounts_.end() ? found->second : TaskAccount{};
}

std::optional<std::size_t> LoopState::pop_completed() {
  const std::lock_guard lock(mutex_);
  if (deliver_ == Deliver::as_completed) {
    if (completed_.empty()) return std::nullopt;
    const std::size_t task = completed_.front();
    completed_.pop_front();
    accounts_.erase(task);
    return task;
  }
  for (;;) {
    const auto found = accounts_.find(next_in_order_);
    if (found == accounts_.end()) return std::nullopt;
    const bool done = found->second.done;
    accounts_.erase(found);
    const std::size_t task = next_in_order_++;
    // Tasks that failed for good are left out.
    if (done) return task;
    tasks_.discard_result(task);
  }
}

}  // namespace detail::parallel
}  // namespace hoist
