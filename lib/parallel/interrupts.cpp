// SPDX-License-Identifier: BSD-3-Clause
#include "parallel/interrupts.hpp"

#include <hoist/error.hpp>
#include <hoist/stop.hpp>

#include <semaphore.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <mutex>
#include <thread>
#include <vector>

#include "os/fork_hook.hpp"
#include "os/thread_pool.hpp"
#include "parallel/loop_state.hpp"

namespace hoist {

namespace detail::parallel {

namespace {

void on_interrupt(int);

/// The loops of this process, and the thread that interrupts them: a signal handler may take no
/// lock and allocate nothing.
class Watch {
 public:
  Watch() {
    ::sem_init(&news_, 0, 0);
    os::ThreadPool::start_beside("hoist-ctrl-c", [this] { run(); });
  }

  void add(LoopState& loop) {
    const std::lock_guard lock(mutex_);
    loops_.push_back({&loop, false});
    if (loops_.size() == 1) take_over();
  }

  void remove(LoopState& loop) {
    bool unanswered = false;
    {
      const std::lock_guard lock(mutex_);
      std::erase_if(loops_, [&](const Entry& entry) { return entry.loop == &loop; });
      const bool some_interrupted = std::any_of(
          loops_.begin(), loops_.end(), [](const Entry& entry) { return entry.interrupted; });
      if (answered_ && !some_interrupted) {
        // All loops that the signal interrupted have ended: the next signal is a first one again.
        signals_.store(0);
        answered_ = false;
      }
      if (loops_.empty()) {
        give_back();
        unanswered = signals_.exchange(0) > 0;
      }
    }
    // It came when the last loop had ended and interrupted none: it acts as it does without loops.
    if (unanswered) ::raise(SIGINT);
  }

  // Async-signal-safe.
  bool is_first_signal() { return signals_.fetch_add(1) == 0; }
  void wake() { ::sem_post(&news_); }
  void ask() {
    asked_.store(true);
    wake();
  }

 private:
  struct Entry {
    LoopState* loop;
    bool interrupted;
  };

  [[noreturn]] void run() {
    for (;;) {
      while (::sem_wait(&news_) != 0) {
      }
      const bool asked = asked_.exchange(false);
      const std::lock_guard lock(mutex_);
      const bool signalled = signals_.load() > 0 && !answered_ && !loops_.empty();
      if (!asked && !signalled) continue;
      for (Entry& entry : loops_) {
        entry.interrupted = entry.interrupted || signalled;
        entry.loop->interrupt();
      }
      if (signalled) answered_ = true;
    }
  }

  void take_over() {
    struct sigaction now{};
    ::sigaction(SIGINT, nullptr, &now);
    const bool by_default = (now.sa_flags & SA_SIGINFO) == 0 && now.sa_handler == SIG_DFL;
    if (!by_default && now.sa_handler != &on_interrupt) return;
    struct sigaction ours{};
    ours.sa_handler = &on_interrupt;
    // System calls of tasks are restarted.
    ours.sa_flags = SA_RESTART;
    ::sigemptyset(&ours.sa_mask);
    ::sigaction(SIGINT, &ours, nullptr);
    taken_over_ = true;
  }

  void give_back() {
    if (!std::exchange(taken_over_, false)) return;
    struct sigaction now{};
    ::sigaction(SIGINT, nullptr, &now);
    // The program may have set a handler of its own meanwhile.
    if (now.sa_handler == &on_interrupt) ::signal(SIGINT, SIG_DFL);
  }

  sem_t news_;
  std::atomic<unsigned> signals_{0};
  std::atomic<bool> asked_{false};
  std::mutex mutex_;
  std::vector<Entry> loops_;
  bool answered_ = false;
  bool taken_over_ = false;
};

/// A child that the program forked gets a watch of its own.
constinit os::PerProcess<Watch> watch_of_process;

void on_interrupt(int) {
  const int error = errno;
  Watch* const watch = watch_of_process.find();
  if (watch != nullptr && watch->is_first_signal()) {
    watch->wake();
  } else {
    // A second signal, or one in a child that the program forked while a loop ran.
    ::signal(SIGINT, SIG_DFL);
    ::raise(SIGINT);
  }
  errno = error;
}

}  // namespace

Interruptible::Interruptible(LoopState& loop) : loop_(loop) {
  try {
    watch_of_process.here().add(loop);
  } catch (const SystemError&) {
    // There can be no more threads. The loop does without: Ctrl-C ends the program.
  }
}

Interruptible::~Interruptible() {
  if (Watch* const watch = watch_of_process.find()) watch->remove(loop_);
}

}  // namespace detail::parallel

void interrupt_loops() noexcept {
  if (auto* const watch = detail::parallel::watch_of_process.find()) watch->ask();
}

}  // namespace hoist
