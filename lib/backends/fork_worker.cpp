// SPDX-License-Identifier: BSD-3-Clause
#include "backends/fork_worker.hpp"

#include <hoist/detail/decoder.hpp>
#include <hoist/detail/envelope.hpp>
#include <hoist/error.hpp>
#include <hoist/parallel_options.hpp>

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <iostream>
#include <span>
#include <tuple>
#include <utility>

#include "backends/worker_end.hpp"
#include "base/cpu.hpp"
#include "base/thread_pool.hpp"
#include "workers/descriptors.hpp"

namespace hoist::detail {

namespace {

constexpr std::size_t kept_stderr = 2000;

}  // namespace

ForkWorker::ForkWorker(Loop& loop, int event_fd, unsigned number, std::optional<int> processor)
    : loop_(loop) {
  worker_.number = number;
  void* memory =
      ::mmap(nullptr, sizeof(ForkArea), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw SystemError("backend fork: shared memory for a worker", errno);
  area_ = new (memory) ForkArea;
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) {
    const int code = errno;
    ::munmap(area_, sizeof(ForkArea));
    throw SystemError("backend fork: pipe", code);
  }
  stderr_.reset(ends[0]);
  Fd child_end(ends[1]);
  Fd child_socket;
  std::tie(socket_, child_socket) = socket_pair();
  // The child writes as to any stderr: it waits where the pipe is full.
  ::fcntl(child_end.get(), F_SETFL, 0);
  // What is in buffers would come out twice.
  std::fflush(stdout);
  std::cout.flush();
  const int parent = ::getpid();
  const int pid = ::fork();
  if (pid == 0) {
    if (processor) move_to_processor(*processor);
    ThreadPool::renew_in_child();
    socket_.reset();
    run_forked_child(loop, *area_, {event_fd, child_socket.get(), child_end.get()}, parent);
  }
  if (pid < 0) {
    const int code = errno;
    ::munmap(area_, sizeof(ForkArea));
    throw SystemError("backend fork: fork", code);
  }
  worker_.pid = pid;
  // Here too: who comes first must not matter.
  ::setpgid(pid, pid);
  pidfd_.reset(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!pidfd_) {
    const int code = errno;
    kill();
    reap();
    ::munmap(area_, sizeof(ForkArea));
    throw SystemError("backend fork: pidfd_open", code);
  }
}

ForkWorker::~ForkWorker() {
  if (!leaving_) kill();
  reap();
  pass_stderr_on();
  ::munmap(area_, sizeof(ForkArea));
}

/// With the processes its tasks have started.
void ForkWorker::kill() {
  if (!reaped_ && ::kill(-worker_.pid, SIGKILL) != 0) ::kill(worker_.pid, SIGKILL);
}

void ForkWorker::ask_to_leave() {
  area_->attention.store(true);
  area_->leave.store(1);
  area_->child_bell.ring();
  leaving_ = given_.empty();
}

void ForkWorker::reap() {
  while (!reaped_) {
    if (pidfd_) {
      // A child that is leaving may still have something to print.
      pollfd watched[] = {{pidfd_.get(), POLLIN, 0}, {stderr_.get(), POLLIN, 0}};
      if (::poll(watched, 2, -1) < 0 && errno != EINTR) break;
      pass_stderr_on();
      if (watched[0].revents == 0) {
        // Closed by a child that still lives: nothing more comes from there.
        if ((watched[1].revents & (POLLHUP | POLLERR)) == 0) continue;
        stderr_.reset();
      }
    }
    // What a task has started ends with it, unless the child left in order. The number of the group
    // is this child's until it is collected.
    siginfo_t end{};
    if (::waitid(P_PID, static_cast<id_t>(worker_.pid), &end, WEXITED | WNOWAIT) == 0 &&
        !(end.si_code == CLD_EXITED && end.si_status == 0)) {
      kill();
    }
    const pid_t got = ::waitpid(worker_.pid, &status_, 0);
    if (got == worker_.pid || errno != EINTR) reaped_ = true;
  }
}

void ForkWorker::feed() {
  for (;;) {
    const std::uint32_t written = area_->commands_written.load(std::memory_order_relaxed);
    if (written - area_->commands_read.load() >= ForkArea::depth) return;
    TaskRange tasks;
    if (!loop_.take(tasks, worker_)) return;
    given_.push_back(tasks);
    ForkArea::Command& command = area_->commands[written % ForkArea::depth];
    command.first = tasks.first;
    command.last = tasks.last;
    command.state.store(ForkArea::Command::offered);
    area_->commands_written.store(written + 1, std::memory_order_release);
    area_->child_bell.ring();
  }
}

void ForkWorker::share() {
  // A single task is its own: between two that have nothing to do it would go to and fro.
  if (given_.empty() || (given_.size() == 1 && given_.front().size() == 1)) return;
  const std::uint32_t written = area_->commands_written.load(std::memory_order_relaxed);
  std::uint32_t state = ForkArea::Command::offered;
  if (area_->commands[(written - 1) % ForkArea::depth].state.compare_exchange_strong(
          state, ForkArea::Command::taken_back)) {
    const TaskRange tasks = given_.back();
    given_.pop_back();
    loop_.give_back(tasks);
  } else if (given_.front().size() > 1) {
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
  return area_->written.load(std::memory_order_acquire) !=
         area_->read.load(std::memory_order_relaxed);
}

bool ForkWorker::receive() {
  bool any = false;
  while (receive_part()) any = true;
  if (any) area_->child_bell.ring();  // it may wait for room
  return any;
}

/// Reads the next part of a result, or as much of it as is there. False where nothing was.
bool ForkWorker::receive_part() {
  std::byte* to = nullptr;
  std::size_t size = 0;
  switch (stage_) {
    case Stage::header:
      to = reinterpret_cast<std::byte*>(&header_);
      size = sizeof header_;
      break;
    case Stage::places:
      to = reinterpret_cast<std::byte*>(places_.data());
      size = places_.size() * sizeof places_[0];
      break;
    case Stage::meta:
      to = encoded_.meta.data();
      size = encoded_.meta.size();
      break;
    case Stage::segments:
      if (places_[segment_].number == 0) {
        to = encoded_.segments[segment_].owner->data();
        size = encoded_.segments[segment_].bytes;
      }
      break;
  }
  const std::uint64_t at = area_->read.load(std::memory_order_relaxed);
  const std::uint64_t there = area_->written.load(std::memory_order_acquire) - at;
  const std::size_t part = std::min<std::uint64_t>(there, size - got_);
  if (part == 0 && size > 0) return false;
  copy_from_stream(*area_, at, to + got_, part);
  got_ += part;
  area_->read.store(at + part, std::memory_order_release);
  if (got_ < size) return true;
  got_ = 0;
  switch (stage_) {
    case Stage::header:
      places_.assign(header_.segments, {});
      encoded_.meta.resize(header_.meta);
      encoded_.segments.clear();
      segment_ = 0;
      stage_ = header_.segments > 0 ? Stage::places : Stage::meta;
      return true;
    case Stage::places:
      take_places();
      stage_ = Stage::meta;
      return true;
    case Stage::meta:
      if (header_.segments > 0) {
        stage_ = Stage::segments;
        return true;
      }
      break;
    case Stage::segments:
      if (++segment_ < encoded_.segments.size()) return true;
      break;
  }
  stage_ = Stage::header;
  deliver();
  return true;
}

/// Memory for the segments of the result that is coming in.
void ForkWorker::take_places() {
  for (const ResultPlace& place : places_) {
    std::shared_ptr<Storage> storage;
    if (place.number == 0) {
      storage = allocate_storage(place.bytes, Fill::none);
    } else {
      std::vector<std::byte> content;
      std::vector<Fd> fds;
      if (!receive_message(socket_.get(), 16, content, fds) || fds.size() != 1) {
        throw DamagedData("a descriptor that should have come with a result didn't");
      }
      const auto number = static_cast<std::uint32_t>(place.number);
      files_.add(number, std::move(fds.front()), place.offset + place.bytes);
      storage = files_.map({number, place.offset}, place.bytes, true, true);
      files_.forget(number);
    }
    std::byte* const data = storage->data();
    encoded_.segments.push_back({data, place.bytes, 1, std::move(storage)});
  }
}

void ForkWorker::deliver() {
  const auto task = static_cast<std::size_t>(header_.task);
  const Clock::time_point began{Clock::duration(header_.began)};
  if (given_.empty() || given_.front().first != task) {
    // Its memory is not what it was.
    kill();
    return;
  }
  if (header_.kind == ResultHeader::Kind::unbegun) {
    loop_.give_back(given_.front());
    given_.pop_front();
    return;
  }
  settled(task);
  if (header_.kind == ResultHeader::Kind::error) {
    loop_.failed(task, worker_, unpack_error(encoded_.meta), began, header_.seconds);
    return;
  }
  EncodedSource source(encoded_);
  Decoder decoder(source);
  loop_.arrived(task, worker_, decoder, began, header_.seconds);
}

void ForkWorker::settled(std::size_t task) {
  // Tasks are settled in the order in which they were given.
  TaskRange& front = given_.front();
  front.first = task + 1;
  if (front.size() == 0) given_.pop_front();
}

void ForkWorker::pass_stderr_on() {
  char buffer[4096];
  for (;;) {
    const ssize_t n = ::read(stderr_.get(), buffer, sizeof buffer);
    if (n <= 0) return;
    const auto got = static_cast<std::size_t>(n);
    std::size_t passed = 0;
    while (passed < got) {
      const ssize_t w = ::write(STDERR_FILENO, buffer + passed, got - passed);
      if (w <= 0) break;
      passed += static_cast<std::size_t>(w);
    }
    stderr_tail_.append(buffer, got);
    if (stderr_tail_.size() > 2 * kept_stderr) {
      stderr_tail_.erase(0, stderr_tail_.size() - kept_stderr);
    }
  }
}

Clock::time_point ForkWorker::task_deadline() const {
  const TimeLimit& limit = loop_.options().task_timeout;
  if (!limit.is_set() || given_.empty() || overdue_ != ForkArea::none) {
    return Clock::time_point::max();
  }
  // Where it hasn't begun yet, the limit can't pass before it would from now on.
  const bool runs = area_->running.load() != 0;
  const Clock::time_point began =
      runs ? Clock::time_point(Clock::duration(area_->began.load())) : Clock::now();
  return began + std::chrono::duration_cast<Clock::duration>(
                     std::chrono::duration<double>(limit.seconds()));
}

void ForkWorker::end_overdue_task() {
  const std::uint64_t running = area_->running.load();
  if (running == 0 || Clock::now() < task_deadline()) return;
  overdue_ = static_cast<std::size_t>(running - 1);
  kill();
}

bool ForkWorker::bury() {
  reap();
  pass_stderr_on();
  receive();
  const std::uint64_t running = area_->running.load();
  const bool at_work = running != 0 && !given_.empty() && given_.front().first == running - 1;
  if (at_work) {
    const auto task = static_cast<std::size_t>(running - 1);
    const Clock::time_point began{Clock::duration(area_->began.load())};
    const double seconds = std::chrono::duration<double>(Clock::now() - began).count();
    settled(task);
    std::exception_ptr error =
        overdue_ == task ? killed_for_task(worker_.pid, task, loop_.options().task_timeout)
                         : death("while it ran task " + std::to_string(task));
    loop_.failed(task, worker_, std::move(error), began, seconds);
  }
  for (const TaskRange& tasks : std::exchange(given_, {})) loop_.give_back(tasks);
  return at_work;
}

std::string ForkWorker::last_words() const {
  const std::size_t from = stderr_tail_.size() - std::min(stderr_tail_.size(), kept_stderr);
  std::string tail = stderr_tail_.substr(from);
  while (!tail.empty() && tail.back() == '\n') tail.pop_back();
  return tail;
}

std::exception_ptr ForkWorker::death(const std::string& when) const {
  WorkerEnd end;
  end.signal = WIFSIGNALED(status_) ? WTERMSIG(status_) : 0;
  end.exit_code = WIFEXITED(status_) ? WEXITSTATUS(status_) : 0;
  end.last_lines = last_words();
  return worker_died(worker_.pid, end, when);
}

}  // namespace hoist::detail
