// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/error.hpp>
#include <hoist/parallel_options.hpp>

#include <poll.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "backends/builtin.hpp"
#include "backends/doomed_tasks.hpp"
#include "backends/fork_worker.hpp"
#include "backends/look_again.hpp"
#include "base/spin.hpp"
#include "os/cpu.hpp"

namespace hoist::detail::backends {

namespace {

/// After so many children that died between tasks, something else is wrong than a task.
constexpr unsigned max_idle_deaths = 5;
/// How long a process looks for answers of children that have next to nothing to do, before it
/// sleeps: most have them by then, and to wake it would take as long. With more to do, they need
/// its core.
constexpr auto first_answers = std::chrono::microseconds(150);

class ForkSession final : public Session {
 public:
  explicit ForkSession(Loop& loop) : loop_(loop), event_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
    if (!event_) throw SystemError("backend fork: eventfd", errno);
    loop.tasks().check_results();
    os::check_fork_is_safe(loop.options().force_fork, fork_backend);
  }

  ~ForkSession() override { stop(); }

  void wake(std::size_t) override {}

  void work(unsigned seen, ipc::Clock::time_point deadline) override {
    if (wants_children()) start_wave();
    if (settle_what_came()) return look_again_.note(true);
    doomed_.kill(workers_);
    if (loop_.epoch() != seen) return;
    sleep(std::min(deadline, doomed_.next_look()));
    look_again_.note(settle_what_came());
  }

  void interrupt() noexcept override {
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t sent = ::write(event_.get(), &one, sizeof one);
  }

  void kill(std::size_t task) override {
    doomed_.add(task);
    doomed_.kill(workers_);
  }

  void stop() override {
    const bool cut_short = loop_.stopping() && !loop_.idle();
    if (cut_short) {
      for (auto& worker : workers_) worker->kill();
    }
    retire([](const ForkWorker&) { return true; });
    // What tasks have printed comes before what the caller prints next.
    workers::OutputWriter::flush_all(cut_short
                                         ? ipc::Clock::now() + workers::stopped_output_patience
                                         : ipc::Clock::time_point::max());
  }

 private:
  /// Children see the tasks that were known when they were forked. Those that are at work go on
  /// with what they have; they are replaced when they come for more.
  bool wants_children() {
    if (loop_.stopping()) return false;
    const auto is_free = [&](const auto& worker) {
      return !worker->has_work() && worker->known() != loop_.known();
    };
    return forked_for_ != loop_.known()
               ? workers_.size() < loop_.n_jobs() || std::ranges::any_of(workers_, is_free)
               : loop_.available() && std::ranges::any_of(workers_, is_free);
  }

  void start_wave() {
    retire([](const ForkWorker& worker) { return !worker.has_work(); });
    look_again_.note(true);
    const std::size_t tasks = loop_.known() - std::exchange(forked_for_, loop_.known());
    const std::size_t wanted =
        std::min<std::size_t>(std::max<std::size_t>(tasks, 1), loop_.n_jobs() - workers_.size());
    watched_until_ = ipc::Clock::now();
    if (tasks <= std::size_t{2} * loop_.n_jobs()) watched_until_ += first_answers;
    // The scheduler may leave two new children on one processor for some ms: where they take all,
    // each begins on its own, the last on this one, which will be free.
    std::vector<int> processors = os::affinity();
    if (processors.size() < 2 || wanted < processors.size()) processors.clear();
    const auto after = std::ranges::upper_bound(processors, ::sched_getcpu()) - processors.begin();
    const os::ForkHold hold(loop_.options().force_fork, fork_backend);
    for (unsigned i = 0; i < wanted; ++i) {
      std::optional<int> processor;
      if (!processors.empty()) {
        processor = processors[(static_cast<std::size_t>(after) + i) % processors.size()];
      }
      workers_.push_back(
          std::make_unique<ForkWorker>(loop_, event_.get(), free_number(), processor, owner_));
      workers_.back()->feed();
    }
  }

  unsigned free_number() const {
    unsigned number = 0;
    while (std::ranges::any_of(workers_,
                               [&](const auto& worker) { return worker->number() == number; })) {
      ++number;
    }
    return number;
  }

  void feed(ForkWorker& worker) {
    if (worker.known() == loop_.known()) worker.feed();
  }

  bool settle_what_came() {
    bool moved = false;
    for (auto& worker : workers_) {
      moved = worker->receive() || moved;
      feed(*worker);
    }
    const auto idle = std::find_if(workers_.begin(), workers_.end(),
                                   [](const auto& worker) { return !worker->has_work(); });
    if (idle != workers_.end() && loop_.options().batch_size.is_automatic() && !loop_.stopping()) {
      for (auto& worker : workers_) worker->share();
      feed(**idle);
    }
    return moved;
  }

  bool news(bool sleeping) {
    bool any = false;
    for (auto& worker : workers_) any = worker->has_news(sleeping) || any;
    return any;
  }

  void sleep(ipc::Clock::time_point deadline) {
    // Children that were just forked answer in less time than it would take them to wake this
    // process.
    auto now = ipc::Clock::now();
    while (now < watched_until_ && base::yield_core(now)) {
      if (news(false)) return;
    }
    if (news(true)) return;
    std::vector<pollfd> watched;
    watched.push_back({event_.get(), POLLIN, 0});
    for (auto& worker : workers_) {
      watched.push_back({worker->death_fd(), POLLIN, 0});
      watched.push_back({worker->stderr_fd(), POLLIN, 0});
      deadline = std::min(deadline, worker->task_deadline());
      if (worker->has_several() && loop_.needs_task_times()) {
        deadline = std::min(deadline, look_again_.next());
      }
      if (worker->waits_for_reader()) {
        deadline = std::min(deadline, ipc::Clock::now() + reader_recheck);
      }
    }
    timespec left{};
    timespec* timeout = nullptr;
    if (deadline != ipc::Clock::time_point::max()) {
      const auto ns = std::max<std::int64_t>(
          0, std::chrono::duration_cast<std::chrono::nanoseconds>(deadline - ipc::Clock::now())
                 .count());
      left = {static_cast<time_t>(ns / 1'000'000'000), static_cast<long>(ns % 1'000'000'000)};
      timeout = &left;
    }
    const int ready = ::ppoll(watched.data(), watched.size(), timeout, nullptr);
    if (ready < 0 && errno != EINTR) throw SystemError("backend fork: poll", errno);
    if (watched[0].revents != 0) {
      std::uint64_t count = 0;
      [[maybe_unused]] const ssize_t drained = ::read(event_.get(), &count, sizeof count);
    }
    for (std::size_t i = 0; i < workers_.size(); ++i) {
      ForkWorker& worker = *workers_[i];
      if (watched[2 + 2 * i].revents != 0) worker.take_stderr();
      worker.end_overdue_task();
      if ((watched[1 + 2 * i].revents & POLLIN) != 0) replace(workers_[i]);
    }
  }

  void replace(std::unique_ptr<ForkWorker>& worker) {
    const unsigned number = worker->number();
    const bool was_at_work = worker->handle_exit();
    idle_deaths_ = was_at_work ? 0 : idle_deaths_ + 1;
    if (idle_deaths_ > max_idle_deaths) {
      TaskRange tasks;
      Worker none;
      while (loop_.take(tasks, none)) {
        for (std::size_t i = tasks.first; i < tasks.last; ++i) {
          loop_.failed(i, none, worker->death("between tasks"), ipc::Clock::now(), 0);
        }
      }
    }
    if (loop_.stopping()) return;
    const os::ForkHold hold(loop_.options().force_fork, fork_backend);
    worker = std::make_unique<ForkWorker>(loop_, event_.get(), number, std::nullopt, owner_);
    worker->feed();
  }

  template <class Which>
  void retire(const Which& which) {
    for (auto& worker : workers_) {
      if (which(*worker)) worker->ask_to_leave();
    }
    std::erase_if(workers_, [&](const auto& worker) { return which(*worker); });
  }

  Loop& loop_;
  // Another thread may fork, one of hoist's own.
  const os::ThreadSettings owner_ = os::ThreadSettings::of_this_thread();
  os::Fd event_;
  std::vector<std::unique_ptr<ForkWorker>> workers_;
  DoomedTasks doomed_;
  std::size_t forked_for_ = 0;
  unsigned idle_deaths_ = 0;
  LookAgain look_again_;
  ipc::Clock::time_point watched_until_;
};

class ForkBackend final : public Backend {
 public:
  BackendTraits traits() const override {
    return {
        .shares_memory = false, .inherits_tasks = true, .kills_tasks = true, .batch_seconds = 4e-3};
  }
  std::unique_ptr<Session> open(Loop& loop) override { return std::make_unique<ForkSession>(loop); }
};

}  // namespace

std::shared_ptr<Backend> make_fork_backend() { return std::make_shared<ForkBackend>(); }

}  // namespace hoist::detail::backends
