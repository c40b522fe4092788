// SPDX-License-Identifier: BSD-3-Clause
#include "processes/own_process.hpp"

#include <hoist/detail/envelope.hpp>

#include <cxxabi.h>
#include <poll.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <mutex>
#include <utility>

#include "ipc/channel.hpp"
#include "os/fork_hook.hpp"
#include "os/kept_fd.hpp"
#include "os/process_end.hpp"
#include "os/socket.hpp"
#include "os/thread_pool.hpp"
#include "program/stack_trace.hpp"

namespace hoist {

namespace detail::processes {

namespace {

struct Own {
  std::mutex mutex;
  Identity identity;
  unsigned children = 0;  // that have got a number
  std::shared_ptr<Peer> parent;
  os::ForkHook fork_hook{mutex};
};

Own& own() {
  static auto* const instance = new Own;
  return *instance;
}

/// By which this process tells its parent how it ended.
struct ParentChannel {
  int pid = 0;  // whose it is: not that of a process that this one forked
  os::KeptFd
      fd;  // a program that closes all descriptors may have given the number to something else
};

ParentChannel& channel_to_parent() {
  static auto* const instance = new ParentChannel;
  return *instance;
}

/// Ends this process when its parent has ended. No signal of the kernel would do: it goes off when
/// the thread ends that has started this.
void end_with_parent(const Peer& parent) {
  os::ThreadPool::start_beside("hoist-parent", [fd = parent.fd()] {
    pollfd ended{fd, POLLIN, 0};
    while (fd >= 0 && ::poll(&ended, 1, -1) <= 0) {
    }
    ::_exit(1);
  });
}

/// A reader of the output that is gone does not change how this process ends.
void ignore_missing_readers() { std::signal(SIGPIPE, SIG_IGN); }

void leave(int status, void*) {
  ignore_missing_readers();
  os::run_process_end();
  flush_standard_streams();
  std::fflush(nullptr);
  ipc::FieldWriter notice;
  notice.put(Notice::left);
  notice.put(static_cast<std::int32_t>(status & 0xff));
  try {
    const ParentChannel& channel = channel_to_parent();
    if (channel.pid == ::getpid() && channel.fd) {
      os::send_message(channel.fd.get(), notice.bytes(), {});
    }
  } catch (...) {
    // The parent has other ways to know.
  }
  ::_exit(status);
}

int run_caught(const std::function<void()>& work) {
  const program::RecordThrows record;
  try {
    work();
    return 0;
  } catch (const abi::__forced_unwind&) {
    throw;
  } catch (...) {
    ignore_missing_readers();
    flush_standard_streams();
    const std::string text =
        "Process " + own_identity().name + ":\n" + error_report(std::current_exception()) + "\n";
    [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, text.data(), text.size());
    return 1;
  }
}

}  // namespace

void flush_standard_streams() {
  static const std::ios_base::Init made_before_main;
  std::cout.flush();
  std::cerr.flush();
  std::clog.flush();
  std::fflush(stdout);
  std::fflush(stderr);
}

Identity own_identity() {
  const std::lock_guard lock(own().mutex);
  return own().identity;
}

std::string next_child_number() {
  const std::lock_guard lock(own().mutex);
  return own().identity.number + std::to_string(++own().children) + ":";
}

std::string default_name(const std::string& number) {
  return "Process-" + number.substr(0, number.size() - 1);
}

void set_own_identity(Identity identity, os::Fd parent) {
  const auto peer =
      std::make_shared<Peer>(identity.parent_name, identity.parent_pid, false, std::move(parent));
  const bool is_daemon = identity.daemon;
  {
    const std::lock_guard lock(own().mutex);
    own().parent = peer;
    own().identity = std::move(identity);
    own().children = 0;
  }
  if (is_daemon) end_with_parent(*peer);  // without the lock, which forks take
}

void allow_children() {
  const std::lock_guard lock(own().mutex);
  own().identity.daemon = false;
}

std::shared_ptr<Peer> own_peer() {
  const Identity identity = own_identity();
  return std::make_shared<Peer>(identity.name, ::getpid(), identity.daemon,
                                os::open_pidfd(::getpid()));
}

void live_as_process(int channel, const std::function<void()>& work) {
  channel_to_parent().pid = ::getpid();
  channel_to_parent().fd = os::KeptFd(os::Fd(channel));
  ::on_exit(leave, nullptr);
  leave(run_caught(work), nullptr);
  ::_exit(0);
}

}  // namespace detail::processes

namespace mp = detail::processes;

ProcessInfo current_process() { return ProcessInfo(mp::own_peer()); }

std::optional<ProcessInfo> parent_process() {
  const std::lock_guard lock(mp::own().mutex);
  if (mp::own().parent == nullptr) return std::nullopt;
  return ProcessInfo(mp::own().parent);
}

std::vector<ProcessInfo> active_children() {
  std::vector<ProcessInfo> active;
  for (auto& child : mp::known_children()) {
    if (!child->ended()) active.emplace_back(std::move(child));
  }
  return active;
}

void set_start_method(StartMethod method) noexcept {
  const std::lock_guard lock(mp::own().mutex);
  mp::own().identity.start_method = method;
}

StartMethod get_start_method() noexcept {
  const std::lock_guard lock(mp::own().mutex);
  return mp::own().identity.start_method;
}

}  // namespace hoist
