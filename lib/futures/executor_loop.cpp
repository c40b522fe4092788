// SPDX-License-Identifier: BSD-3-Clause
#include "futures/executor_loop.hpp"

#include <hoist/error.hpp>

#include <chrono>
#include <utility>
#include <vector>

#include "futures/open_loops.hpp"
#include "os/thread_pool.hpp"

namespace hoist::detail::futures {

namespace {

/// For so long the background leaves the lead to threads that submit and wait: to move the lead
/// from one thread to another takes longer than most short calls.
constexpr auto nap = std::chrono::milliseconds(1);
/// After so many naps in which nothing was submitted it rests until something is.
constexpr unsigned naps_before_rest = 20;
/// Where calls wait to be sent, only every so many submissions look whether there is room.
constexpr std::size_t kick_interval = 64;

parallel::Settings settings_of(const ParallelOptions& options) {
  if (options.timeout.is_set()) {
    throw BadArgument(
        "an executor has no end to which a `timeout` could count: use task_timeout, or the time "
        "limits of its futures");
  }
  if (options.stop_token.stop_possible()) {
    throw BadArgument(
        "an executor does not end by a `stop_token`: cancel its futures, or shut it down");
  }
  parallel::Settings settings = parallel::resolve_settings(options, true);
  // Each call for itself: one that takes long, or waits for another, must keep none waiting.
  if (settings.traits.works_alone) settings.batch = 1;
  return settings;
}

}  // namespace

ExecutorLoop::ExecutorLoop(const ParallelOptions& options, bool kill_on_cancel,
                           bool ends_with_program)
    : kill_on_cancel_(kill_on_cancel),
      ends_with_program_(ends_with_program),
      settings_(settings_of(options)),
      tasks_(*this),
      loop_(settings_, tasks_, Deliver::futures, false, nullptr) {}

ExecutorLoop::~ExecutorLoop() {
  if (!is_here()) {
    // The threads and workers are the parent's.
    [[maybe_unused]] auto* const parents = session_.release();
    return;
  }
  remove_open_loop(*this);
}

void ExecutorLoop::open() {
  session_ = settings_.backend->open(loop_);
  loop_.set_session(session_.get());
  add_open_loop(*this);
  if (!works_alone() && !settings_.traits.sequential) {
    start_thread([this] { run_background(); });
  }
  opened_.store(true, std::memory_order_release);
}

/// One that keeps this loop.
void ExecutorLoop::start_thread(std::function<void()> body) {
  os::ThreadPool::start_beside(
      "hoist-executor", [self = shared_from_this(), body = std::move(body)] { body(); },
      os::ThreadPool::Calls::user);
}

bool ExecutorLoop::submit(Submission& call) {
  if (settings_.options.retries > 0 && (settings_.traits.shares_memory || forks())) {
    call.check_repeats();
  }
  call.future().set_source(*this);
  if (!opened_.load(std::memory_order_acquire)) {
    const std::lock_guard lock(open_mutex_);
    if (!opened_.load() && !closed_.load()) open();
    if (!opened_.load()) return false;
  }
  bool was_empty = false;
  std::size_t count = 0;
  call.future().add_reference();
  const bool taken = tasks_.append(call, [&](std::size_t tasks) {
    was_empty = !works_alone() && !loop_.available();
    count = tasks;
    loop_.release(tasks);
  });
  if (taken) {
    kick(count, was_empty);
  } else {
    call.future().drop_reference();
  }
  return taken;
}

void ExecutorLoop::kick(std::size_t submitted, bool was_empty) {
  if (works_alone()) return session_->wake(1);
  if (!was_empty && submitted % kick_interval != 0) return;
  std::unique_lock lock(lead_mutex_);
  if (settings_.traits.sequential) {
    // In one of its own calls: who runs that makes this one next.
    if (leader_ == std::this_thread::get_id()) return;
    const Ready ready = [this] { return loop_.idle(); };
    if (take_lead(lock, ready, Deadline::max())) {
      lock.unlock();
      lead(ready, Deadline::max());
      lock.lock();
      give_up_lead();
    }
    return;
  }
  if (leader_ == std::thread::id()) {
    leader_ = std::this_thread::get_id();
    lock.unlock();
    step([] {});
    lock.lock();
    give_up_lead();
  } else {
    interrupt_leader();
  }
  if (resting_.exchange(false)) background_.notify_one();
}

bool ExecutorLoop::take_lead(std::unique_lock<std::mutex>& lock, const Ready& ready,
                             Deadline deadline) {
  const auto leads_already = [&] { return leader_ == std::this_thread::get_id(); };
  if (leads_already()) return true;
  // Counted first: who makes ready() true afterwards will wake this thread.
  waiting_.fetch_add(1);
  bool in_time = true;
  const auto is_taken = [&] { return leader_ != std::thread::id() || demands_.load() > 0; };
  while (!ready() && is_taken() && in_time) {
    if (background_leads_) interrupt_leader();
    if (deadline == Deadline::max()) {
      lead_changed_.wait(lock);
    } else {
      in_time = lead_changed_.wait_until(lock, deadline) == std::cv_status::no_timeout;
    }
  }
  waiting_.fetch_sub(1);
  if (is_taken() || ready()) return false;
  leader_ = std::this_thread::get_id();
  return true;
}

bool ExecutorLoop::demand_lead(std::unique_lock<std::mutex>& lock, const Ready& ready) {
  if (leader_ == std::this_thread::get_id()) return true;
  demands_.fetch_add(1);
  while (!ready() && leader_ != std::thread::id()) {
    if (!works_alone()) interrupt_leader();
    lead_changed_.wait(lock);
  }
  demands_.fetch_sub(1);
  if (leader_ == std::thread::id() && !ready()) {
    leader_ = std::this_thread::get_id();
    return true;
  }
  lead_changed_.notify_all();
  return false;
}

void ExecutorLoop::interrupt_leader() {
  loop_.signal();
  session_->interrupt();
}

void ExecutorLoop::give_up_lead() {
  leader_ = {};
  if (waiting_.load() + demands_.load() > 0) lead_changed_.notify_all();
  if (urgent_.load()) background_.notify_one();
}

/// Announces to the session what was submitted. If there is nothing, does `work`: not both, since
/// the session may settle calls in each, and work() may sleep.
template <class Work>
void ExecutorLoop::step(const Work& work) {
  try {
    const std::size_t known = loop_.known();
    if (const std::size_t fresh = known - std::exchange(announced_, known); fresh > 0) {
      session_->wake(fresh);
    } else {
      work();
    }
  } catch (...) {
    // No worker can be started, for instance.
    fail_all(std::current_exception());
  }
}

void ExecutorLoop::lead(const Ready& ready, Deadline deadline) {
  for (;;) {
    const unsigned seen = loop_.epoch();
    if (ready() || demands_.load() > 0) return;
    if (deadline != Deadline::max() && Clock::now() >= deadline) return;
    step([&] {
      session_->work(seen, std::min(deadline, loop_.next_overdue()));
      loop_.check_times();
    });
    if (waiting_.load() > 0) wake_waiters();
  }
}

void ExecutorLoop::wake_waiters() {
  if (!is_here()) return;
  const std::lock_guard lock(lead_mutex_);
  lead_changed_.notify_all();
  if (!works_alone() && leader_ != std::thread::id() && leader_ != std::this_thread::get_id()) {
    interrupt_leader();
  }
}

bool ExecutorLoop::await(FutureState& future, Deadline deadline) {
  if (!works_alone()) {
    return await([&future] { return future.is_done(); }, deadline);
  }
  // A call that is made here can't be given up in time.
  if (deadline != Deadline::max() || !in_task()) return future.sleep(deadline);
  return run_or_wait(future);
}

bool ExecutorLoop::await(const Ready& ready, Deadline deadline) {
  std::unique_lock lock(lead_mutex_);
  const bool led_before = leader_ == std::this_thread::get_id();
  while (take_lead(lock, ready, deadline)) {
    lock.unlock();
    lead(ready, deadline);
    if (led_before) return ready();
    lock.lock();
    give_up_lead();
    if (deadline != Deadline::max() && Clock::now() >= deadline) break;
  }
  return ready();
}

bool ExecutorLoop::end(FutureState& future) {
  if (!kill_on_cancel_ || !settings_.traits.kills_tasks || !is_here()) return false;
  std::unique_lock lock(lead_mutex_);
  if (!demand_lead(lock, [&] { return future.is_done(); })) return false;
  lock.unlock();
  // First, since the death of its worker is not to be its error.
  const bool ended =
      future.abandon(std::make_exception_ptr(
                         Cancelled("the call was cancelled while it ran, and its worker killed")),
                     true);
  if (ended) session_->kill(dynamic_cast<Submission&>(future).task);
  lock.lock();
  give_up_lead();
  return ended;
}

void ExecutorLoop::lead_in_background() {
  if (works_alone() || !is_here() || urgent_.exchange(true)) return;
  const std::lock_guard lock(lead_mutex_);
  resting_.store(false);
  background_.notify_one();
}

void ExecutorLoop::close(bool cancel) {
  {
    const std::lock_guard lock(open_mutex_);
    closed_.store(true);
  }
  tasks_.close();
  if (!cancel) return;
  for (const auto& future : tasks_.all()) future->cancel_pending();
  wake_waiters();
}

void ExecutorLoop::drain() {
  if (!works_alone()) {
    await([this] { return is_over(); }, Deadline::max());
  } else {
    for (;;) {
      const unsigned seen = loop_.epoch();
      if (is_over()) break;
      loop_.wait(seen, Deadline::max());
    }
  }
}

void ExecutorLoop::end_session(std::unique_lock<std::mutex>& lock) {
  if (!ended_.exchange(true)) {
    lock.unlock();
    loop_.stop();
    session_->stop();
    lock.lock();
    stopped_.store(true);
  }
  give_up_lead();
  resting_.store(false);
  background_.notify_one();
}

/// Gives idle workers back to the pool of workers, where they leave after their idle_timeout.
void ExecutorLoop::release_workers(std::unique_lock<std::mutex>& lock) {
  if (forks()) return;
  leader_ = std::this_thread::get_id();
  lock.unlock();
  std::unique_ptr<Session> next;
  try {
    next = settings_.backend->open(loop_);
    session_->stop();
  } catch (const Error&) {
    // They stay where they are.
  }
  lock.lock();
  if (next != nullptr) {
    session_ = std::move(next);
    loop_.set_session(session_.get());
  }
  give_up_lead();
}

void ExecutorLoop::finish() {
  close(false);
  if (!opened_.load()) return;
  drain();
  std::unique_lock lock(lead_mutex_);
  if (demand_lead(lock, [this] { return stopped_.load(); })) end_session(lock);
}

void ExecutorLoop::retire() {
  if (!is_here()) return;
  close(false);
  if (!opened_.load()) return;
  if (works_alone() && !is_over()) {
    start_thread([this] { finish(); });
  } else if (works_alone() || settings_.traits.sequential) {
    finish();
  } else {
    // The background ends it.
    lead_in_background();
  }
}

void ExecutorLoop::abandon(bool running, const std::exception_ptr& reason) {
  for (const auto& future : tasks_.all()) future->abandon(reason, running);
}

void ExecutorLoop::kill(const std::exception_ptr& reason) {
  close(false);
  if (!opened_.load() || !is_here()) return;
  abandon(false, reason);
  // One of its own calls can't wait for itself.
  if (runs_here()) return start_thread([this, reason] { kill(reason); });
  std::unique_lock lock(lead_mutex_);
  if (!demand_lead(lock, [this] { return stopped_.load(); })) return;
  if (settings_.traits.kills_tasks) {
    lock.unlock();
    abandon(true, reason);
    lock.lock();
  }
  end_session(lock);
  lock.unlock();
  // Those that were taken and not begun.
  abandon(true, reason);
  wake_waiters();
  std::unique_lock lending(lend_mutex_);
  may_lend_.wait(lending, [this] { return lent_ == 0; });
}

void ExecutorLoop::fail_all(const std::exception_ptr& error) {
  TaskRange tasks;
  Worker none;
  while (loop_.take(tasks, none)) {
    for (std::size_t task = tasks.first; task < tasks.last; ++task) {
      loop_.failed(task, none, error, Clock::now(), 0);
    }
  }
}

void ExecutorLoop::run_background() {
  std::unique_lock lock(lead_mutex_);
  std::size_t seen = 0;
  unsigned quiet = 0;
  while (!ended_.load()) {
    const bool idle = loop_.idle();
    const bool others = leader_ != std::thread::id() || waiting_.load() + demands_.load() > 0;
    if (idle && closed_.load() && !others) {
      leader_ = std::this_thread::get_id();
      return end_session(lock);
    }
    if (idle) urgent_.store(closed_.load());
    const std::size_t submitted = loop_.known();
    quiet = std::exchange(seen, submitted) == submitted ? quiet + 1 : 0;
    if (idle && quiet > naps_before_rest && !others) {
      release_workers(lock);
      resting_.store(true);
      // Whoever submits looks at this after that.
      if (!loop_.idle() || closed_.load()) resting_.store(false);
      background_.wait(lock, [this] { return !resting_.load(); });
      quiet = 0;
      continue;
    }
    if (idle || others || !urgent_.load()) {
      background_.wait_for(lock, nap);
      if (ended_.load() || leader_ != std::thread::id() || waiting_.load() + demands_.load() > 0 ||
          loop_.idle()) {
        continue;
      }
    }
    leader_ = std::this_thread::get_id();
    background_leads_ = true;
    lock.unlock();
    lead([this] { return waiting_.load() > 0 || loop_.idle(); }, Deadline::max());
    lock.lock();
    background_leads_ = false;
    give_up_lead();
  }
}

}  // namespace hoist::detail::futures
