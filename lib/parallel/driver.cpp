// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/detail/code_address.hpp>
#include <hoist/detail/loop_driver.hpp>
#include <hoist/error.hpp>
#include <hoist/outcome.hpp>

#include <algorithm>
#include <forward_list>
#include <functional>
#include <optional>
#include <stop_token>
#include <utility>

#include "parallel/interrupts.hpp"
#include "parallel/loop_state.hpp"
#include "parallel/reporter.hpp"
#include "parallel/settings.hpp"
#include "parallel/trace.hpp"

namespace hoist {

namespace detail {

namespace {

/// A wave (see BackendTraits::inherits_tasks) that took less than this is followed by a larger
/// one: starting workers costs half a millisecond. So is a wave whose tasks took less, if its
/// owner mostly waited: on a busy machine workers start late.
constexpr double short_wave = 20e-3;
/// Such waves grow faster: each may cost a busy machine a tenth of a second.
constexpr double fast_growth = 8;

std::optional<parallel::Trace> make_trace(const parallel::Settings& settings) {
  if (settings.options.trace.empty()) return std::nullopt;
  return std::optional<parallel::Trace>(std::in_place, settings.options.trace,
                                        settings.backend_name, settings.n_jobs);
}

}  // namespace

class LoopDriver::Impl {
 public:
  Impl(const ParallelOptions& options, LoopTasks& tasks, std::size_t count, Deliver deliver)
      : settings_(parallel::resolve_settings(options)),
        tasks_(tasks),
        reads_(count == unread),
        deliver_(deliver),
        trace_(make_trace(settings_)),
        loop_(settings_, tasks, deliver, reads_, trace_ ? &*trace_ : nullptr),
        reporter_(settings_) {
    if (settings_.options.timeout.is_set()) {
      const std::chrono::duration<double> limit(settings_.options.timeout.seconds());
      deadline_ = Clock::now() + std::chrono::duration_cast<Clock::duration>(limit);
      loop_.set_deadline(deadline_);
    }
    // Other processes decode the arguments anew for each attempt.
    const bool runs_here = settings_.traits.shares_memory || settings_.traits.inherits_tasks;
    if (settings_.options.retries > 0 && runs_here) tasks.check_repeats();
    if (!reads_) {
      read_ = count;
      input_ended_ = true;
    }
    if (settings_.traits.sequential) {
      window_ = 1;
    } else if (settings_.batch != 0 && !settings_.options.pre_dispatch.counts_tasks() &&
               settings_.window != unread) {
      window_ =
          settings_.window > unread / settings_.batch ? unread : settings_.window * settings_.batch;
    } else {
      window_ = settings_.window;
    }
    // In a generator a window that was set counts tasks.
    const PreDispatch& ahead = settings_.options.pre_dispatch;
    scales_ = window_ != unread && !settings_.traits.sequential && !ahead.counts_tasks() &&
              (!generates() || ahead.is_automatic()) &&
              (settings_.batch == 0 || settings_.traits.inherits_tasks);
    // An empty loop starts no workers.
    if (reads_ || count > 0) open();
  }

  ~Impl() { close(); }

  void start() {
    if (!reads_) {
      if (read_ > 0) {
        loop_.release(read_);
        session_->wake(read_);
      }
    } else if (!settings_.traits.sequential) {
      top_up();
    }
  }

  bool run() {
    start();
    for (;;) {
      const unsigned seen = loop_.epoch();
      top_up();
      report();
      if (loop_.stopping() || (input_ended_ && loop_.idle())) break;
      work(seen);
    }
    finish();
    const auto failure = loop_.failure();
    if (failure.timed_out) {
      timed_out_ = timed_out(failure);
      return false;
    }
    if (failure.error) raise(failure);
    if (input_error_) std::rethrow_exception(std::exchange(input_error_, nullptr));
    return deliver_ != Deliver::all || loop_.outcomes().failed_count() == 0;
  }

  [[noreturn]] void fail(CarriedResults results) {
    if (timed_out_) {
      timed_out_->set_results(std::move(results));
      throw *std::move(timed_out_);
    }
    LoopErrors errors(loop_.outcomes().failures(), read_);
    errors.set_results(std::move(results));
    throw errors;
  }

  bool next(std::size_t& task, Deadline deadline) {
    if (ended_) return end();
    for (;;) {
      const unsigned seen = loop_.epoch();
      if (const auto failure = loop_.failure(); failure.error) {
        finish();
        if (failure.timed_out) throw timed_out(failure);
        raise(failure);
      }
      top_up();
      report();
      if (const auto completed = loop_.pop_completed()) {
        task = *completed;
        ++consumed_;
        if (!settings_.traits.sequential) top_up();
        return true;
      }
      if (input_ended_ && loop_.idle()) {
        // A task may have completed between the two looks.
        if (const auto completed = loop_.pop_completed()) {
          task = *completed;
          ++consumed_;
          return true;
        }
        if (loop_.failure().error) continue;
        finish();
        if (input_error_) std::rethrow_exception(std::exchange(input_error_, nullptr));
        return end();
      }
      if (deadline != Deadline::max() && Clock::now() >= deadline) {
        throw TimedOut("the generator has no further result within the time limit of next()");
      }
      work(seen, deadline);
    }
  }

  std::size_t tasks() const { return read_; }
  parallel::LoopState& loop() { return loop_; }

 private:
  /// The end of a generator, which throws the failures once.
  bool end() {
    if (std::exchange(failures_thrown_, true)) return false;
    auto failures = loop_.outcomes().failures();
    if (!failures.empty()) throw LoopErrors(std::move(failures), read_);
    return false;
  }
  [[noreturn]] static void raise(const parallel::LoopFailure& failure) {
    if (failure.task) throw_task_error(failure.error, *failure.task);
    std::rethrow_exception(failure.error);
  }
  /// Says how far the loop came, which is known now that nothing of it runs any more.
  TimedOut timed_out(const parallel::LoopFailure& failure) {
    const std::size_t done = loop_.outcomes().completed_count();
    return {error_text(failure.error) + " (tasks done: " + std::to_string(done) + " of " +
                std::to_string(read_) + (input_ended_ ? ")" : " read so far)"),
            done, read_};
  }
  bool generates() const {
    return deliver_ == Deliver::in_order || deliver_ == Deliver::as_completed;
  }

  void open() {
    session_ = settings_.backend->open(loop_);
    loop_.set_session(session_.get());
    interruptible_.emplace(loop_);
    obey_tokens();
    // Forked children inherit the limit, which spares each of them the time that oneTBB takes to
    // set one. But to raise a number may start threads, which only the children themselves should
    // do.
    const bool inherited = settings_.traits.inherits_tasks && !settings_.inner_threads.exact;
    if (settings_.traits.shares_memory || inherited) {
      process_threads_.emplace(settings_.inner_threads);
    }
  }

  /// Also those of the loops around it: one that sleeps while its processes work would not notice
  /// that it is to stop. A stop that was requested before is obeyed at once.
  void obey_tokens() {
    for (const parallel::StopFlag* flag = settings_.inner.stop.get(); flag != nullptr;
         flag = flag->outer.get()) {
      if (!flag->token.stop_possible()) continue;
      const char* const why = flag == settings_.inner.stop.get()
                                  ? parallel::stopped_by_token
                                  : "the stop_token of a loop around this one was asked to stop";
      stop_callbacks_.emplace_front(flag->token, [this, why] { loop_.interrupt(why); });
    }
  }

  /// Reads input as far as the window allows.
  void top_up() {
    if (input_ended_) return;
    // Failed tasks of a generator are never consumed; they leave the window all the same.
    const std::size_t gone = generates() ? consumed_ + loop_.outcomes().failed_count()
                                         : loop_.outcomes().finished_count();
    if (settings_.traits.inherits_tasks) {
      // A wave for each task that leaves the window would take half a millisecond a task.
      const std::size_t last = scales_ ? wave_ : window_;
      if (!loop_.idle() || read_ - gone > last / 2) return;
      if (scales_) grow_wave();
    }
    const std::size_t before = read_;
    const std::size_t window = scales_ ? scaled_window() : window_;
    while (!loop_.stopping() && read_ - gone < window && read_one()) {
    }
    if (read_ > before) {
      loop_.release(read_);
      session_->wake(read_ - before);
    }
    // The owner is called when half of the window has been used up.
    loop_.call_owner_after(input_ended_ ? unread : std::max<std::size_t>(1, window / 2));
  }

  std::size_t scaled_window() const {
    if (settings_.traits.inherits_tasks) return wave_;
    const std::size_t batches = window_ * loop_.batch_hint();
    // Who takes few results, or wants to see the first ones before a failure, has not much ahead.
    return generates() ? std::min(batches, window_ + 2 * consumed_) : batches;
  }

  void grow_wave() {
    const Clock::time_point now = Clock::now();
    if (wave_ == 0) {
      wave_ = window_;
    } else {
      const double took = std::chrono::duration<double>(now - wave_began_).count();
      const double waited = std::chrono::duration<double>(waited_).count();
      const double tasks = loop_.task_seconds() * static_cast<double>(wave_) / settings_.n_jobs;
      const bool known = tasks > 0;
      const bool waits_for_workers = known && tasks < short_wave && waited > took / 2;
      if (took < short_wave || waits_for_workers) {
        const double factor = known ? short_wave / tasks : 2;
        wave_ = static_cast<std::size_t>(
            static_cast<double>(wave_) *
            std::clamp(factor, 1.0, waits_for_workers ? fast_growth : 2.0));
      }
    }
    wave_began_ = now;
    waited_ = {};
  }

  bool read_one() {
    try {
      if (tasks_.read()) {
        ++read_;
        return true;
      }
    } catch (...) {
      input_error_ = std::current_exception();
      if (!generates()) loop_.stop();
    }
    input_ended_ = true;
    return false;
  }

  /// One step of the session, which ends in time for the next deadline or report.
  void work(unsigned seen, Deadline deadline = Deadline::max()) {
    const bool in_waves = settings_.traits.inherits_tasks;
    const Clock::time_point began = in_waves ? Clock::now() : Clock::time_point();
    session_->work(seen, std::min({deadline, deadline_, reporter_.next(), loop_.next_overdue()}));
    if (in_waves) waited_ += Clock::now() - began;
    loop_.check_times();
  }

  ProgressReport progress() {
    return {.done = loop_.outcomes().done_count(),
            .failed = loop_.outcomes().failed_count(),
            .total = input_ended_ ? std::optional<std::size_t>(read_) : std::nullopt};
  }

  void report() {
    if (reporter_.silent()) return;
    reporter_.tick(progress(), *session_);
  }

  /// Ends what still runs. Afterwards there are results or an error.
  void finish() {
    if (session_ && !reporter_.silent()) reporter_.count_workers(*session_);
    close();
    ended_ = true;
    reporter_.finish(progress());
    if (trace_) trace_->write();
  }

  void close() {
    if (!session_) return;
    loop_.stop();
    session_->stop();
    interruptible_.reset();
    stop_callbacks_.clear();
    loop_.set_session(nullptr);
    session_.reset();
    process_threads_.reset();
  }

  parallel::Settings settings_;
  LoopTasks& tasks_;
  const bool reads_;
  const Deliver deliver_;
  std::optional<parallel::Trace> trace_;
  parallel::LoopState loop_;
  parallel::Reporter reporter_;
  std::unique_ptr<Session> session_;
  std::optional<parallel::Interruptible> interruptible_;
  std::forward_list<std::stop_callback<std::function<void()>>> stop_callbacks_;
  std::optional<os::ProcessThreads> process_threads_;
  Clock::time_point deadline_ = Clock::time_point::max();
  std::size_t window_ = 1;
  bool scales_ = false;
  std::size_t wave_ = 0;
  Clock::time_point wave_began_;
  Clock::duration waited_{};  // for the workers, in this wave
  std::size_t read_ = 0;
  std::size_t consumed_ = 0;
  bool input_ended_ = false;
  bool ended_ = false;
  bool failures_thrown_ = false;
  std::optional<TimedOut> timed_out_;
  std::exception_ptr input_error_;
};

LoopDriver::LoopDriver(const ParallelOptions& options, LoopTasks& tasks, std::size_t count,
                       Deliver deliver)
    : impl_(std::make_unique<Impl>(options, tasks, count, deliver)) {}

LoopDriver::~LoopDriver() = default;

bool LoopDriver::run() { return impl_->run(); }
void LoopDriver::fail(CarriedResults results) { impl_->fail(std::move(results)); }
void LoopDriver::start() { impl_->start(); }
bool LoopDriver::next(std::size_t& task, Deadline deadline) { return impl_->next(task, deadline); }
std::size_t LoopDriver::tasks() const { return impl_->tasks(); }
TaskAccount LoopDriver::account(std::size_t task) const {
  return impl_->loop().outcomes().account(task);
}

}  // namespace detail

LoopErrors::LoopErrors(std::vector<TaskFailure> failures, std::size_t tasks)
    : Error([&] {
        std::string text =
            std::to_string(failures.size()) + " of " + std::to_string(tasks) + " tasks failed";
        if (failures.empty()) return text;
        text += "; the first is task " + std::to_string(failures.front().index);
        return text + ": " + failures.front().message();
      }()),
      failures_(std::make_shared<const std::vector<TaskFailure>>(std::move(failures))) {}

void detail::CarriedResults::throw_wrong_type(const std::type_info& wanted,
                                              const char* carrier) const {
  throw BadArgument(std::string(carrier) + "::results() was asked for " + readable_type(wanted) +
                    (results_ ? "; the loop's results are of type " + readable_type(*type_)
                              : ", but has none: those of a loop without results, of calls of "
                                "several types, of a generator, or from another process"));
}

}  // namespace hoist
