// SPDX-License-Identifier: BSD-3-Clause
#include "backends/fork_worker.hpp"

#include <hoist/detail/decoder.hpp>
#include <hoist/error.hpp>
#include <hoist/parallel_options.hpp>

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <iostream>
#include <span>
#include <tuple>
#include <utility>

#include "backends/settle_frame.hpp"
#include "backends/worker_end.hpp"
#include "os/child_watch.hpp"
#include "os/cpu.hpp"
#include "os/socket.hpp"
#include "os/thread_pool.hpp"
#include "workers/result_frames.hpp"

namespace hoist::detail::backends {

ForkWorker::ForkWorker(Loop& loop, int event_fd, unsigned number, std::optional<int> processor,
                       const os::ThreadSettings& like)
    : loop_(loop), known_(loop.known()), in_flight_(loop, worker_) {
  worker_.number = number;
  channel_ = ipc::ChannelMemory::create_for_child();
  area_ = new (channel_.beside_state().data()) ForkArea;
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) {
    throw SystemError("backend fork: pipe", errno);
  }
  errors_ = std::make_shared<workers::OutputLines>(os::Fd(ends[0]), STDERR_FILENO, std::string());
  os::Fd child_end(ends[1]);
  os::Fd child_socket;
  std::tie(socket_, child_socket) = os::socket_pair();
  link_ = ipc::Link(channel_, socket_.get(), false);
  // The child writes as to any stderr: it waits where the pipe is full.
  ::fcntl(child_end.get(), F_SETFL, 0);
  // What is in buffers would come out twice.
  std::fflush(stdout);
  std::cout.flush();
  const int parent = ::getpid();
  const int pid = ::fork();
  if (pid == 0) {
    if (processor) os::move_to_processor(*processor);
    socket_.reset();
    const os::ThreadSettingsScope settings(like);
    run_forked_child(loop, *area_, channel_, {event_fd, child_socket.get(), child_end.get()},
                     parent, number);
  }
  if (pid < 0) {
    os::throw_no_process(errno);
  }
  worker_.pid = pid;
  // Here too: who comes first must not matter.
  ::setpgid(pid, pid);
  watch_ = os::ChildWatch(pid);
}

ForkWorker::~ForkWorker() {
  if (!leaving_) kill();
  reap();
}

/// With the processes its tasks have started.
void ForkWorker::kill() {
  if (!reaped_) watch_.kill_group();
}

void ForkWorker::ask_to_leave() {
  area_->attention.store(true);
  area_->exit_requested.store(1);
  channel_.state().worker_bell.ring();
  leaving_ = in_flight_.empty();
}

void ForkWorker::reap() {
  while (!reaped_) {
    // A child that is leaving may still have something to print.
    pollfd watched[] = {{watch_.fd(), POLLIN, 0}, {stderr_fd(), POLLIN, 0}};
    const auto limit = waits_for_reader() ? static_cast<int>(reader_recheck.count()) : -1;
    if (::poll(watched, 2, limit) < 0 && errno != EINTR) break;
    take_stderr();
    if (watched[0].revents == 0) continue;
    const auto end = watch_.end();
    if (!end) continue;
    // What a task has started ends with it, unless the child left in order.
    if (end->is_failure()) kill();
    watch_.collect();
    end_ = *end;
    reaped_ = true;
    take_stderr();
  }
}

void ForkWorker::feed() {
  for (;;) {
    const std::uint32_t written = area_->commands_written.load(std::memory_order_relaxed);
    if (written - area_->commands_read.load() >= ForkArea::depth) return;
    TaskRange tasks;
    if (!loop_.take(tasks, worker_)) return;
    if (tasks.first >= known_) return loop_.give_back(tasks);
    drop_unwanted(tasks);
    if (tasks.size() == 0) continue;
    in_flight_.add(tasks);
    ForkArea::Command& command = area_->commands[written % ForkArea::depth];
    command.first = tasks.first;
    command.last = tasks.last;
    command.attempt = loop_.attempt(tasks);
    command.state.store(ForkArea::Command::offered);
    area_->commands_written.store(written + 1, std::memory_order_release);
    channel_.state().worker_bell.ring();
  }
}

/// The child sees neither what was submitted nor what was cancelled since it was forked.
void ForkWorker::drop_unwanted(TaskRange& tasks) {
  const auto wanted = [&](std::size_t task) { return loop_.tasks().is_wanted(task); };
  for (; tasks.size() > 0 && !wanted(tasks.first); ++tasks.first) {
    loop_.failed(tasks.first, worker_, std::make_exception_ptr(Cancelled("the call was cancelled")),
                 ipc::Clock::now(), 0);
  }
  std::size_t end = tasks.first;
  while (end < std::min(tasks.last, known_) && wanted(end)) ++end;
  const std::size_t last = std::exchange(tasks.last, end);
  if (end < last) loop_.give_back({end, last});
}

void ForkWorker::share() {
  // A single task is its own: between two that have nothing to do it would go to and fro.
  if (in_flight_.size() <= 1) return;
  const std::uint32_t written = area_->commands_written.load(std::memory_order_relaxed);
  std::uint32_t state = ForkArea::Command::offered;
  if (area_->commands[(written - 1) % ForkArea::depth].state.compare_exchange_strong(
          state, ForkArea::Command::taken_back)) {
    in_flight_.take_back_newest();
  } else if (in_flight_.oldest().size() > 1) {
    area_->attention.store(true);
  }
}

bool ForkWorker::has_news(bool sleeping) {
  if (sleeping) {
    area_->parent_sleeps.store(true);
    std::atomic_thread_fence(std::memory_order_seq_cst);
  } else {
    area_->parent_sleeps.store(false, std::memory_order_relaxed);
  }
  return link_.has_input();
}

bool ForkWorker::receive() {
  const auto take = [this](ipc::Kind kind, std::span<const std::byte> content) {
    take_frame(kind, content);
  };
  bool any = false;
  try {
    any = workers::receive_frames(link_, segments_, take, static_cast<std::size_t>(-1)) > 0;
    if (reaped_) {
      const auto unsent = workers::take_unsent(link_, channel_.state());
      if (!unsent.empty()) take_frame(ipc::Kind::results, unsent);
    }
  } catch (const DamagedData&) {
    any = true;
    kill();  // its memory is not what it was
  }
  if (any) channel_.state().worker_bell.ring();  // it may wait for room
  return any;
}

void ForkWorker::take_frame(ipc::Kind kind, std::span<const std::byte> content) {
  if (kind == ipc::Kind::unbegun) {
    in_flight_.return_oldest(ipc::FieldReader(content).get<std::uint64_t>());
  } else if (!settle_frame(in_flight_, kind, content, segments_)) {
    Decoder::throw_damaged();
  }
}

void ForkWorker::take_stderr() noexcept {
  try {
    if (reaped_) {
      errors_->take_rest();
    } else {
      errors_->take();
    }
  } catch (const std::exception&) {
    // There is no memory, or no thread, to write it.
  }
}

ipc::Clock::time_point ForkWorker::task_deadline() const {
  const TimeLimit& limit = loop_.options().task_timeout;
  if (!limit.is_set() || in_flight_.empty() || ended_task_ != ForkArea::none) {
    return ipc::Clock::time_point::max();
  }
  // Where it hasn't begun yet, the limit can't pass before it would from now on.
  const bool runs = area_->running.load() != 0;
  const ipc::Clock::time_point began =
      runs ? ipc::Clock::time_point(ipc::Clock::duration(area_->began.load())) : ipc::Clock::now();
  return began + std::chrono::duration_cast<ipc::Clock::duration>(
                     std::chrono::duration<double>(limit.seconds()));
}

void ForkWorker::end_overdue_task() {
  const std::uint64_t running = area_->running.load();
  if (running == 0 || ipc::Clock::now() < task_deadline()) return;
  timed_out_ = end_task(static_cast<std::size_t>(running - 1));
}

bool ForkWorker::end_task(std::size_t task) {
  if (area_->running.load() != task + 1) return false;
  ended_task_ = task;
  kill();
  return true;
}

bool ForkWorker::handle_exit() {
  reap();
  receive();
  const std::uint64_t running = area_->running.load();
  const bool ran = running != 0 && !in_flight_.empty() && in_flight_.oldest().first == running - 1;
  if (ran) {
    in_flight_.set_oldest_since(ipc::Clock::time_point(ipc::Clock::duration(area_->began.load())));
  }
  // Killed for a task that was done by then: no fault of the one it had just begun.
  const bool too_late = ended_task_ != ForkArea::none && !(ran && ended_task_ == running - 1);
  const bool failed = in_flight_.end(ran && !too_late, [this](std::size_t task) {
    return timed_out_ && ended_task_ == task
               ? killed_for_task(worker_.pid, task, loop_.options().task_timeout)
               : death("while it ran task " + std::to_string(task));
  });
  return failed || too_late;
}

std::exception_ptr ForkWorker::death(const std::string& when) const {
  return worker_died(worker_.pid, {.how = end_, .last_lines = errors_->last_lines()}, when);
}

}  // namespace hoist::detail::backends
