// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/detail/encoder.hpp>
#include <hoist/detail/envelope.hpp>

#include <fcntl.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <span>
#include <vector>

#include "backends/fork_area.hpp"
#include "base/thread_pool.hpp"
#include "tasks/stack_trace.hpp"

namespace hoist::detail {

namespace {

/// How long results may lie in the stream before the parent, which sleeps meanwhile, is told.
constexpr auto tell_after = std::chrono::milliseconds(1);

void leave_at_once(int status, void*) {
  // Handlers and static objects are the parent's, which will see to them itself.
  std::fflush(stdout);
  std::fflush(stderr);
  ::_exit(status);
}

/// Sent by the system when the parent ends.
const int parent_ended = SIGRTMAX;

/// Has the end of the parent end this process and those it started, which are a group of their own.
/// A handler does it: SIGKILL would only reach this one.
void die_with_parent(int parent) {
  ::setpgid(0, 0);
  struct sigaction action{};
  action.sa_handler = [](int) { ::kill(0, SIGKILL); };
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
  Child(Loop& loop, ForkArea& area, int event_fd) : loop_(loop), area_(area), event_fd_(event_fd) {
    attention = &area.attention;
    each = true;
  }

  void serve() {
    for (;;) {
      const std::uint32_t next = area_.commands_read.load(std::memory_order_relaxed);
      const auto ready = [&] {
        return area_.commands_written.load(std::memory_order_acquire) != next ||
               area_.leave.load(std::memory_order_acquire) != 0;
      };
      if (!ready()) tell();
      area_.child_bell.wait(Clock::time_point::max(), ready);
      if (area_.commands_written.load(std::memory_order_acquire) == next) return;
      obey(area_.commands[next % ForkArea::depth]);
      area_.commands_read.store(next + 1, std::memory_order_release);
      tell();
    }
  }

  void obey(ForkArea::Command& command) {
    std::uint32_t state = ForkArea::Command::offered;
    if (!command.state.compare_exchange_strong(state, ForkArea::Command::begun)) return;
    const TaskRange tasks{command.first, command.last};
    const std::size_t end = loop_.tasks().run(tasks, *this);
    if (end == tasks.last) return;
    send(end, {}, ResultHeader::Kind::unbegun);
    if (area_.leave.load() == 0) area_.attention.store(false);
  }

  void begin(std::size_t task) override {
    began_ = Clock::now();
    area_.began.store(began_.time_since_epoch().count(), std::memory_order_relaxed);
    area_.running.store(task + 1, std::memory_order_release);
  }

  void end(std::size_t task) override {
    const Clock::time_point ended = Clock::now();
    seconds_ = std::chrono::duration<double>(ended - began_).count();
    Encoder encoder;
    loop_.tasks().encode_result(task, encoder);
    send(task, encoder.take(), ResultHeader::Kind::value);
    loop_.tasks().discard_result(task);
    area_.running.store(0, std::memory_order_release);
    if (ended - told_ > tell_after) tell();
  }

  bool failed(std::size_t task, std::exception_ptr error) override {
    seconds_ = std::chrono::duration<double>(Clock::now() - began_).count();
    Encoded packed;
    packed.meta = pack_error(error);
    send(task, packed, ResultHeader::Kind::error);
    area_.running.store(0, std::memory_order_release);
    // Failures may end the loop: the parent wants to know now.
    tell();
    return true;
  }

 private:
  void send(std::size_t task, const Encoded& encoded, ResultHeader::Kind kind) {
    ResultHeader header;
    header.task = task;
    header.meta = encoded.meta.size();
    header.segments = static_cast<std::uint32_t>(encoded.segments.size());
    header.kind = kind;
    header.began = began_.time_since_epoch().count();
    header.seconds = seconds_;
    put(&header, sizeof header);
    for (const Segment& segment : encoded.segments) {
      const std::uint64_t bytes = segment.bytes;
      put(&bytes, sizeof bytes);
    }
    put(encoded.meta.data(), encoded.meta.size());
    for (const Segment& segment : encoded.segments) put(segment.data, segment.bytes);
    area_.written.store(written_, std::memory_order_release);
  }

  void put(const void* data, std::size_t n) {
    const auto* from = static_cast<const std::byte*>(data);
    while (n > 0) {
      std::uint64_t space = ForkArea::capacity - (written_ - area_.read.load());
      if (space == 0) {
        area_.written.store(written_, std::memory_order_release);
        tell();
        area_.child_bell.wait(Clock::time_point::max(),
                              [&] { return written_ - area_.read.load() < ForkArea::capacity; });
        continue;
      }
      const std::size_t part = std::min<std::uint64_t>(n, space);
      copy_to_stream(area_, written_, from, part);
      written_ += part;
      from += part;
      n -= part;
    }
  }

  void tell() {
    told_ = Clock::now();
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t sent = ::write(event_fd_, &one, sizeof one);
  }

  Loop& loop_;
  ForkArea& area_;
  const int event_fd_;
  std::uint64_t written_ = 0;
  Clock::time_point began_;
  Clock::time_point told_ = Clock::now();
  double seconds_ = 0;
};

}  // namespace

void run_forked_child(Loop& loop, ForkArea& area, int event_fd, int stderr_fd, int parent) {
  die_with_parent(parent);
  // The parent decides about interrupts; its handlers for crashes are about its own crashes. The
  // terminal is not this group's, but may be written to.
  for (const int unwanted : {SIGINT, SIGTTIN, SIGTTOU}) std::signal(unwanted, SIG_IGN);
  for (const int crash : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTERM}) {
    std::signal(crash, SIG_DFL);
  }
  ::dup2(stderr_fd, STDERR_FILENO);
  // The input is the parent's: children would each take a part of it.
  if (const int null = ::open("/dev/null", O_RDONLY | O_CLOEXEC); null >= 0) {
    ::dup2(null, STDIN_FILENO);
    if (null != STDIN_FILENO) ::close(null);
  }
  ::on_exit(leave_at_once, nullptr);
  loop.enter_tasks();
  const RecordThrows record;
  Child(loop, area, event_fd).serve();
  std::cout.flush();
  leave_at_once(0, nullptr);
  ::_exit(0);
}

}  // namespace hoist::detail
