// SPDX-License-Identifier: BSD-3-Clause
#include "backends/process_session.hpp"

#include <hoist/error.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <deque>
#include <set>
#include <string>
#include <vector>

#include "backends/builtin.hpp"
#include "backends/doomed_tasks.hpp"
#include "backends/look_again.hpp"
#include "backends/spawn_worker.hpp"
#include "os/inner_threads.hpp"
#include "os/working_place.hpp"
#include "workers/output_writer.hpp"

namespace hoist::detail::backends {

namespace {

/// A worker answers at once when it has nothing else to do.
constexpr auto variables_patience = std::chrono::milliseconds(100);
/// Where workers tell news, to look at all of them takes a twentieth of the time, unless that would
/// be too rare.
constexpr int looks_apart = 19;
constexpr ipc::Clock::duration longest_apart = std::chrono::milliseconds(100);
/// So many workers are started, or given tasks, before those get to work.
constexpr unsigned flushed_together = 256;
/// Where there can be no worker now, one is asked for again that often.
constexpr auto between_requests = std::chrono::milliseconds(10);

std::size_t next_bell() {
  static std::atomic<std::size_t> next{0};
  return next.fetch_add(1) % ipc::BellBoard::count;
}

class ProcessSession final : public Session {
 public:
  ProcessSession(Loop& loop, WorkerSource& source)
      : loop_(loop),
        source_(source),
        bell_(next_bell()),
        segments_(shared_from(loop.options()), loop.options().temp_folder,
                  loop.options().mmap_mode >= MmapMode::read_write),
        place_(os::working_place()),
        options_(loop.options().workers),
        lost_hosts_(loop.options().on_lost_host),
        threads_(source.threads_each(loop.n_jobs())),
        news_(source.tells_news() ? std::make_shared<workers::News>() : nullptr) {
    if (const unsigned wanted = loop.options().inner_max_num_threads; wanted != 0) {
      // What was asked for in so many words comes before what this process's environment says.
      threads_ = wanted;
      for (const char* name : os::thread_variables) {
        options_.env.emplace(name, std::to_string(wanted));
      }
    }
    workers_.reserve(loop.n_jobs());
    while (workers_.size() < loop.n_jobs()) add_worker();
  }

  ~ProcessSession() override {
    try {
      stop();
    } catch (...) {
      // Another exception ends the loop, or it has all its results.
    }
  }

  void wake(std::size_t tasks) override {
    wanted_ = std::min<std::size_t>(wanted_ + tasks, workers_.size());
    // Also called where tasks are given back, in the midst of moving things along.
    if (moving_) return;
    move();
    look_again_.note(true);
    source_.flush();
  }

  void work(unsigned seen, ipc::Clock::time_point deadline) override {
    if (move()) return look_again_.note(true);
    check_variables();
    deadline = std::min(deadline, doomed_.next_look());
    if (wanted_ > 0) deadline = std::min(deadline, ipc::Clock::now() + between_requests);
    if (std::exchange(has_looked_, false)) next_of_workers();
    const auto news = [&] {
      return loop_.epoch() != seen || may_grow() || (news_ != nullptr ? news_->any() : is_news());
    };
    source_.wait(bell_, std::min(deadline, std::max(next_, next_look_)), std::cref(news), soon_);
    look_again_.note(move());
  }

  void interrupt() noexcept override { ipc::BellBoard::here().bell(bell_).wake(); }

  WorkerCount workers() const override {
    WorkerCount count;
    std::set<std::string> machines;
    for (const auto& worker : workers_) {
      if (!worker->has_process()) continue;
      ++count.workers;
      if (!worker->process()->machine().empty()) machines.insert(worker->process()->machine());
    }
    count.machines = static_cast<unsigned>(machines.size());
    return count;
  }

  void kill(std::size_t task) override {
    doomed_.add(task);
    doomed_.kill(workers_);
  }

  void stop() override {
    if (stopped_) return;
    stopped_ = true;
    moving_ = true;
    for (const auto& worker : workers_) {
      worker->drop_unsent();
      if (worker->has_process() && worker->busy()) worker->process()->kill();
    }
    // What tasks have printed comes before what the caller prints next. A loop that was cut
    // short does not wait for somebody to read it.
    const bool cut_short = loop_.stopping() && !loop_.idle();
    if (!cut_short) await_variables();
    const auto output_deadline = cut_short ? ipc::Clock::now() + workers::stopped_output_patience
                                           : ipc::Clock::time_point::max();
    for (const auto& worker : workers_) {
      if (!worker->has_process()) continue;
      if (worker->busy()) {
        source_.wait(
            bell_, ipc::Clock::time_point::max(), [&] { return worker->process()->dead(); }, true);
        continue;
      }
      worker->process()->take_output(output_deadline);
      source_.give_back(worker->release(), options_, threads_, workers_.size());
    }
    workers::OutputWriter::flush_all(output_deadline);
  }

 private:
  void add_worker() {
    workers_.push_back(std::make_unique<SpawnWorker>(loop_, segments_, variables_, lost_hosts_,
                                                     place_, static_cast<unsigned>(workers_.size()),
                                                     bell_));
  }

  /// Whether machines have come since the loop began, which is to have all workers there are.
  bool may_grow() const {
    return grows_ && source_.capacity() > workers_.size() && !loop_.stopping();
  }

  bool is_news() const {
    return std::ranges::any_of(workers_, [](const auto& worker) { return worker->has_news(); });
  }

  /// Moves all workers along or, where that would take too much of the time, those that there is
  /// something to do for.
  bool move() {
    if (stopped_) return false;
    moving_ = true;
    struct Moved {
      bool& moving;
      ~Moved() { moving = false; }
    } const moved{moving_};
    if (news_ == nullptr) return move_all();
    const auto now = ipc::Clock::now();
    if (now < next_look_) return move_some();
    const bool any = move_all();
    const auto end = ipc::Clock::now();
    next_look_ = end + std::min(looks_apart * (end - now), longest_apart);
    return any;
  }

  bool move_all() {
    bool any = false;
    while (may_grow()) {
      add_worker();
      if (loop_.available()) wanted_ = std::min(wanted_ + 1, workers_.size());
    }
    if (news_ != nullptr) news_->take();
    blocked_.clear();
    free_.clear();
    for (unsigned i = 0; i < workers_.size(); ++i) any = move(i) || any;
    // Afterwards: with what has come there may be nothing left that others would be needed for.
    start_workers();
    if (share()) any = true;
    doomed_.kill(workers_);
    sweep();
    has_looked_ = true;
    return any;
  }

  bool move_some() {
    bool any = false;
    for (const unsigned number : news_->take()) any = move(number) || any;
    for (const unsigned number : std::exchange(blocked_, {})) any = move(number) || any;
    for (std::size_t i = free_.size(); i > 0 && loop_.available() && !loop_.stopping(); --i) {
      const unsigned number = free_.front();
      free_.pop_front();
      any = move(number) || any;
    }
    doomed_.kill(workers_);
    // What they do now may have other times; and nobody tells that there is room again.
    if (any || !blocked_.empty()) next_ = next_look_;
    return any;
  }

  /// What was sent to workers need not wait for all others.
  void flush_now_and_then() {
    if (++unflushed_ % flushed_together == 0) source_.flush();
  }

  bool move(unsigned number) {
    flush_now_and_then();
    SpawnWorker& worker = *workers_[number];
    bool any = worker.receive();
    worker.check_deadline();
    if (worker.handle_exit()) {
      any = true;
      wanted_ = std::min(wanted_ + 1, workers_.size());
    }
    while (!loop_.stopping() && worker.feed()) any = true;
    worker.ring();
    if (segments_.full()) sweep();
    if (news_ == nullptr || !worker.has_process()) return any;
    if (worker.has_news()) news_->add(number);
    if (worker.is_blocked()) blocked_.push_back(number);
    if (!worker.busy()) free_.push_back(number);
    return any;
  }

  /// Notes when the workers want to be looked at, if there is no news of them before.
  void next_of_workers() {
    next_ = ipc::Clock::time_point::max();
    soon_ = false;
    if (!blocked_.empty()) next_ = next_look_;
    for (const auto& worker : workers_) {
      next_ = std::min(next_, worker->deadline());
      if (workers_.size() > 1) {
        next_ = std::min(next_, worker->overdue_at());
      } else if (worker->busy() && loop_.needs_task_times()) {
        next_ = std::min(next_, look_again_.next());
      }
      soon_ = soon_ || worker->answers_soon();
    }
  }

  /// Takes tasks back that wait behind one that takes long: the next worker that is free runs them.
  /// Batches are as large as the tasks so far were short, which says nothing of the next one.
  bool share() {
    if (loop_.stopping() || workers_.size() == 1) return false;  // nobody else could run them
    bool any = false;
    for (const auto& worker : workers_) {
      // The clock is a good part of a short task.
      const auto overdue = worker->overdue_at();
      if (overdue == ipc::Clock::time_point::max() || ipc::Clock::now() < overdue) continue;
      any = worker->take_back() || any;
    }
    return any;
  }

  void start_workers() {
    if (wanted_ == 0) return;
    if (!loop_.available()) wanted_ = 0;
    if (loop_.stopping() || wanted_ == 0) return;
    std::size_t idle = 0;
    std::size_t present = 0;
    bool is_refused = false;
    for (const auto& worker : workers_) {
      idle += worker->has_process() && !worker->busy() ? 1 : 0;
      present += worker->has_process() ? 1 : 0;
    }
    for (unsigned i = 0; i < workers_.size() && idle < wanted_; ++i) {
      SpawnWorker* const worker = workers_[i].get();
      if (worker->has_process()) continue;
      try {
        // In the place of a machine that was lost another may come: the others are not to do all.
        auto process = source_.lease(options_, threads_, present == 0 || !worker->is_orphan());
        if (process == nullptr) {
          is_refused = true;
          continue;
        }
        if (news_ != nullptr) process->use_news(news_, i);
        worker->set_process(std::move(process));
        ++present;
      } catch (const SystemError&) {
        // Fewer than asked for will do, as long as there are any.
        if (present == 0) throw;
        break;
      }
      // Sent before the next one is started: the first works on it already.
      worker->feed();
      flush_now_and_then();
      ++idle;
    }
    if (!is_refused) wanted_ = 0;  // otherwise asked for again
  }

  /// While there is nothing else to do. False if there is no question, or no worker to ask.
  bool check_variables() {
    if (!variables_.is_due()) return false;
    for (const auto& worker : workers_) {
      if (!worker->has_process() || !worker->process()->has_room(2 * ipc::max_frame)) continue;
      variables_.ask(*worker->process());
      return true;
    }
    return false;
  }

  /// A loop may be over before its workers have had time for it.
  void await_variables() {
    const auto deadline = ipc::Clock::now() + variables_patience;
    do {
      for (const auto& worker : workers_) {
        if (!worker->has_process()) continue;
        const auto news = [&] { return worker->has_news(); };
        while (variables_.awaited() == worker->process().get() && ipc::Clock::now() < deadline) {
          if (worker->receive()) continue;
          if (worker->process()->dead()) break;
          source_.wait(bell_, deadline, news, true);
        }
      }
    } while (ipc::Clock::now() < deadline && check_variables());
  }

  void sweep() {
    if (segments_.empty()) return;
    std::vector<std::shared_ptr<workers::WorkerProcess>> processes;
    for (const auto& worker : workers_) processes.push_back(worker->process());
    segments_.sweep(processes);
  }

  Loop& loop_;
  WorkerSource& source_;
  std::size_t bell_;
  workers::LoopSegments segments_;
  VariableCheck variables_;
  os::WorkingPlace place_;
  WorkerOptions options_;
  LostHosts lost_hosts_;
  unsigned threads_;
  std::vector<std::unique_ptr<SpawnWorker>> workers_;
  const bool grows_ = loop_.uses_all_workers();
  DoomedTasks doomed_;
  std::size_t wanted_ = 0;
  bool moving_ = false;
  const std::shared_ptr<workers::News> news_;  // null if they don't tell
  std::vector<unsigned> blocked_;              // workers with unsent tasks, if they tell news
  std::deque<unsigned> free_;                  // those without tasks
  ipc::Clock::time_point next_look_{};         // at all workers, if they tell news
  unsigned unflushed_ = 0;                     // visits, of all
  bool has_looked_ = false;                    // since the following was noted
  ipc::Clock::time_point next_ = ipc::Clock::time_point::max();
  bool soon_ = false;
  LookAgain look_again_;  // where one worker may have results of which it doesn't tell
  bool stopped_ = false;
};

}  // namespace

std::unique_ptr<Session> open_process_session(Loop& loop, WorkerSource& source) {
  return std::make_unique<ProcessSession>(loop, source);
}

}  // namespace hoist::detail::backends
