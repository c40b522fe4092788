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

#include "backends/builtin.hpp"
#include "backends/fork_area.hpp"
#include "base/temp_file.hpp"
#include "tasks/stack_trace.hpp"
#include "workers/descriptors.hpp"
#include "workers/result_sender.hpp"
#include "workers/shared_bytes.hpp"

namespace hoist::detail {

namespace {

/// How long results may lie in the stream before the parent, which sleeps meanwhile, is told.
constexpr auto tell_after = std::chrono::milliseconds(4);

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
  Child(Loop& loop, ForkArea& area, ForkEnds ends)
      : loop_(loop),
        area_(area),
        ends_(ends),
        sender_(shared_from(loop.options()), [this](std::span<const std::byte> content, int fd) {
          // It may have to wait for the parent to take some.
          tell();
          if (!send_message(ends_.socket, content, {&fd, 1})) ::_exit(1);
        }) {
    attention = &area.attention;
    each = true;
    allocate_large.store(&allocate_shared);
    set_temp_folder(loop.options().temp_folder);
  }

  void serve() {
    for (;;) {
      const std::uint32_t next = area_.commands_read.load(std::memory_order_relaxed);
      area_.child_bell.wait(Clock::time_point::max(), [&] {
        return area_.commands_written.load(std::memory_order_acquire) != next ||
               area_.leave.load(std::memory_order_acquire) != 0;
      });
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
    ended_ = Clock::now();
    const std::size_t end = loop_.tasks().run(tasks, *this);
    if (end == tasks.last) return;
    send(end, {}, {}, ResultHeader::Kind::unbegun);
    if (area_.leave.load() == 0) area_.attention.store(false);
  }

  /// A task begins where the one before it ended: the clock is a good part of a short one.
  void begin(std::size_t task) override {
    began_ = ended_;
    area_.began.store(began_.time_since_epoch().count(), std::memory_order_relaxed);
    area_.running.store(task + 1, std::memory_order_release);
  }

  void end(std::size_t task) override {
    encoder_.clear();
    loop_.tasks().encode_result(task, encoder_);
    ended_ = Clock::now();
    send(task, encoder_.meta(), encoder_.segments(), ResultHeader::Kind::value);
    encoder_.clear();
    loop_.tasks().discard_result(task);
    area_.running.store(0, std::memory_order_release);
    if (ended_ - told_ > tell_after) tell();
  }

  bool failed(std::size_t task, std::exception_ptr error) override {
    ended_ = Clock::now();
    send(task, pack_error(error), {}, ResultHeader::Kind::error);
    area_.running.store(0, std::memory_order_release);
    // Failures may end the loop: the parent wants to know now.
    tell();
    return true;
  }

 private:
  void send(std::size_t task, std::span<const std::byte> meta, std::span<const Segment> segments,
            ResultHeader::Kind kind) {
    ResultHeader header;
    header.task = task;
    header.meta = meta.size();
    header.segments = static_cast<std::uint32_t>(segments.size());
    header.kind = kind;
    header.began = began_.time_since_epoch().count();
    header.seconds = std::chrono::duration<double>(ended_ - began_).count();
    put(&header, sizeof header);
    places_.clear();
    sender_.restart();
    for (const Segment& segment : segments) {
      const SegmentPlace place = sender_.place(segment);
      places_.push_back({segment.bytes, place.offset, place.number});
    }
    put(places_.data(), places_.size() * sizeof(ResultPlace));
    put(meta.data(), meta.size());
    for (std::size_t i = 0; i < segments.size(); ++i) {
      if (places_[i].number == 0) put(segments[i].data, segments[i].bytes);
    }
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
    told_ = ended_;
    std::atomic_thread_fence(std::memory_order_seq_cst);
    if (!area_.parent_sleeps.load(std::memory_order_relaxed)) return;
    if (!area_.parent_sleeps.exchange(false)) return;
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t sent = ::write(ends_.event, &one, sizeof one);
  }

  Loop& loop_;
  ForkArea& area_;
  const ForkEnds ends_;
  ResultSender sender_;
  Encoder encoder_;
  std::vector<ResultPlace> places_;
  std::uint64_t written_ = 0;
  Clock::time_point began_;
  Clock::time_point ended_ = Clock::now();
  Clock::time_point told_ = ended_;
};

}  // namespace

void run_forked_child(Loop& loop, ForkArea& area, ForkEnds ends, int parent) {
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
  const RecordThrows record;
  Child(loop, area, ends).serve();
  std::cout.flush();
  leave_at_once(0, nullptr);
  ::_exit(0);
}

}  // namespace hoist::detail
