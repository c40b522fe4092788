// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/detail/encoder.hpp>
#include <hoist/detail/envelope.hpp>

#include <fcntl.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <string>

#include "backends/builtin.hpp"
#include "backends/fork_area.hpp"
#include "ipc/shared_bytes.hpp"
#include "os/log.hpp"
#include "os/process_end.hpp"
#include "os/temp_file.hpp"
#include "program/stack_trace.hpp"
#include "workers/flush_timer.hpp"
#include "workers/result_frames.hpp"
#include "workers/worker_state.hpp"

namespace hoist::detail::backends {

namespace {

void leave_at_once(int status, void*) {
  // Handlers and static objects are the parent's, which will see to them itself.
  os::run_process_end();
  std::fflush(stdout);
  std::fflush(stderr);
  ::_exit(status);
}

/// Sent by the system when the thread ends that forked this process: perhaps with its process.
const int parent_ended = SIGRTMAX;
volatile sig_atomic_t parent_process = 0;

/// Has the end of the parent end this process and those it started, which are a group of their own.
/// A handler does it: SIGKILL would only reach this one.
void die_with_parent(int parent) {
  ::setpgid(0, 0);
  parent_process = parent;
  struct sigaction action{};
  action.sa_handler = [](int) {
    if (::getppid() != parent_process) ::kill(0, SIGKILL);
  };
  action.sa_flags = SA_RESTART;
  ::sigemptyset(&action.sa_mask);
  ::sigaction(parent_ended, &action, nullptr);
  sigset_t unblocked;
  ::sigemptyset(&unblocked);
  ::sigaddset(&unblocked, parent_ended);
  ::sigprocmask(SIG_UNBLOCK, &unblocked, nullptr);
  ::prctl(PR_SET_PDEATHSIG, parent_ended);
  if (::getppid() != parent) ::_exit(1);
}

class Child final : public TaskRun {
 public:
  Child(Loop& loop, ForkArea& area, const ipc::ChannelMemory& channel, ForkEnds ends,
        unsigned number)
      : loop_(loop),
        area_(area),
        bell_(channel.state().worker_bell),
        event_(ends.event),
        shared_from_(shared_from(loop.options())),
        link_(channel, ends.socket, true),
        results_(link_, channel.state()) {
    attention = &area.attention;
    each = true;
    may_repeat = loop.options().retries > 0;
    info.worker = number;
    link_.set_wake_peer([this] { wake_parent(); });
    allocate_large.store(&ipc::allocate_shared);
    os::set_temp_folder(loop.options().temp_folder);
  }

  void serve() {
    for (;;) {
      const std::uint32_t next = area_.commands_read.load(std::memory_order_relaxed);
      bell_.wait(ipc::Clock::time_point::max(), [&] {
        return area_.commands_written.load(std::memory_order_acquire) != next ||
               area_.exit_requested.load(std::memory_order_acquire) != 0;
      });
      if (area_.commands_written.load(std::memory_order_acquire) == next) return;
      run_batch(area_.commands[next % ForkArea::depth]);
      area_.commands_read.store(next + 1, std::memory_order_release);
      wake_parent();
    }
  }

  void run_batch(ForkArea::Command& command) {
    std::uint32_t state = ForkArea::Command::offered;
    if (!command.state.compare_exchange_strong(state, ForkArea::Command::begun)) return;
    TaskRange tasks{command.first, command.last};
    results_.start(true);
    timer_ = workers::FlushTimer(loop_.needs_task_times(), results_.now());
    WorkerState* own = nullptr;
    while (tasks.size() > 0) {
      try {
        own = state_.get(loop_.options().workers.initializer);
        break;
      } catch (...) {
        // It is the error of the task that the child came for.
        begin(tasks.first);
        failed(tasks.first, std::current_exception());
        ++tasks.first;
      }
    }
    // The initializer may take longer than a task may.
    if (loop_.options().workers.initializer) results_.start(true);
    const workers::WorkerStateScope scope(own);
    info.attempt = command.attempt;
    const TaskScope task_scope(&info);
    const std::size_t end = loop_.tasks().run(tasks, *this);
    results_.close();
    if (end == tasks.last) return;
    ipc::FieldWriter rest;
    rest.put(static_cast<std::uint64_t>(end));
    if (!link_.send(ipc::Kind::unbegun, rest.bytes(), -1, bell_, [] { return false; })) ::_exit(1);
    if (area_.exit_requested.load() == 0) area_.attention.store(false);
  }

  /// A task begins where the one before it ended, if somebody looks at each: the clock is a good
  /// part of a short one.
  void begin(std::size_t task) override {
    area_.began.store(results_.now().time_since_epoch().count(), std::memory_order_relaxed);
    area_.running.store(task + 1, std::memory_order_release);
  }

  void end(std::size_t task) override {
    encoder_.clear();
    loop_.tasks().encode_result(task, encoder_);
    if (!results_.add(encoder_, shared_from_)) ::_exit(1);
    encoder_.clear();
    loop_.tasks().discard_result(task);
    if (loop_.needs_task_times()) results_.close();
    area_.running.store(0, std::memory_order_release);
    if (timer_.due()) {
      results_.close();
      wake_parent();
    }
  }

  bool failed(std::size_t, std::exception_ptr error) override {
    if (!results_.add_error(pack_error(error))) ::_exit(1);
    area_.running.store(0, std::memory_order_release);
    return true;
  }

 private:
  void wake_parent() {
    std::atomic_thread_fence(std::memory_order_seq_cst);
    if (!area_.parent_sleeps.load(std::memory_order_relaxed)) return;
    if (!area_.parent_sleeps.exchange(false)) return;
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t sent = ::write(event_, &one, sizeof one);
  }

  Loop& loop_;
  ForkArea& area_;
  ipc::Bell& bell_;
  const int event_;
  const std::size_t shared_from_;
  ipc::Link link_;
  workers::ResultFrames results_;
  workers::FlushTimer timer_{false, {}};
  Encoder encoder_;
  workers::OwnState state_;
};

}  // namespace

void run_forked_child(Loop& loop, ForkArea& area, const ipc::ChannelMemory& channel, ForkEnds ends,
                      int parent, unsigned number) noexcept {
  die_with_parent(parent);
  // The parent decides about interrupts; its handlers for crashes are about its own crashes. The
  // terminal is not this group's, but may be written to.
  for (const int unwanted : {SIGINT, SIGTTIN, SIGTTOU}) std::signal(unwanted, SIG_IGN);
  for (const int crash : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTERM}) {
    std::signal(crash, SIG_DFL);
  }
  ::dup2(ends.error, STDERR_FILENO);
  // The input is the parent's: children would each take a part of it.
  if (const int null = ::open("/dev/null", O_RDONLY | O_CLOEXEC); null >= 0) {
    ::dup2(null, STDIN_FILENO);
    if (null != STDIN_FILENO) ::close(null);
  }
  ::on_exit(leave_at_once, nullptr);
  loop.enter_tasks();
  const program::RecordThrows record;
  try {
    Child(loop, area, channel, ends, number).serve();
    std::cout.flush();
  } catch (const std::exception& error) {
    // It can't tell its parent of the error of a task, for want of memory or descriptors.
    os::log(LogLevel::error, "parallel", std::string("a forked child ends: ") + error.what());
    ::_exit(125);
  }
  leave_at_once(0, nullptr);
  ::_exit(0);
}

}  // namespace hoist::detail::backends
