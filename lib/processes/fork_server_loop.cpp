// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/detail/envelope.hpp>
#include <hoist/error.hpp>

#include <poll.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <list>
#include <string>
#include <utility>
#include <vector>

#include "os/log.hpp"
#include "os/socket.hpp"
#include "processes/fork_server.hpp"

namespace hoist::detail::processes {

namespace {

void call_preloads(ipc::FieldReader& fields) {
  for (auto n = fields.get<std::uint32_t>(); n > 0; --n) {
    CodeAddress address;
    address.module = fields.get<std::uint64_t>();
    address.offset = fields.get<std::uint64_t>();
    try {
      reinterpret_cast<void (*)()>(const_cast<void*>(resolve_code(address)))();
    } catch (...) {
      os::log(LogLevel::error, "processes",
              "forkserver_preload: " + error_report(std::current_exception()));
    }
  }
  // Children would print it once more.
  flush_standard_streams();
  std::fflush(nullptr);
}

class ForkServerLoop {
 public:
  ForkServerLoop(int socket, os::Fd client, bool is_hosted)
      : socket_(socket), client_(std::move(client)), is_hosted_(is_hosted) {
    // Ctrl-C is for the children and their parent.
    before_.interrupt = std::signal(SIGINT, SIG_IGN);
    before_.child = std::signal(SIGCHLD, SIG_DFL);
    ::prctl(PR_GET_NAME, before_.name);
    ::prctl(PR_SET_NAME, "hoist-forks");
  }

  [[noreturn]] void run() {
    for (;;) {
      std::vector<pollfd> watched{{socket_.get(), POLLIN, 0}, {client_.get(), POLLIN, 0}};
      for (const Child& child : children_) watched.push_back({child.watch.fd(), POLLIN, 0});
      if (::poll(watched.data(), watched.size(), -1) < 0) continue;
      if (watched[1].revents != 0) ::_exit(0);
      std::size_t i = 2;
      for (auto child = children_.begin(); child != children_.end(); ++i) {
        const auto end = watched[i].revents != 0 ? child->watch.end() : std::nullopt;
        if (end) report(*child, *end);
        child = end ? children_.erase(child) : std::next(child);
      }
      if (watched[0].revents != 0) take_request();
      if (!socket_ && children_.empty()) ::_exit(0);
    }
  }

 private:
  struct Child {
    os::ChildWatch watch;
    os::Fd channel;
  };

  void take_request() {
    std::vector<std::byte> bytes;
    std::vector<os::Fd> fds;
    try {
      if (!os::receive_message(socket_.get(), 64, bytes, fds)) {
        socket_.reset();
      } else if (!fds.empty()) {
        fork_child(std::move(fds.front()));
      }
    } catch (const SystemError&) {
      // There are too many descriptors for another child, whose parent sees that it has none.
    }
  }

  void fork_child(os::Fd channel) {
    const pid_t pid = ::fork();
    if (pid == 0) be_child(std::move(channel));
    if (pid < 0) {
      ipc::FieldWriter notice;
      notice.put(Notice::failed);
      notice.put(static_cast<std::int32_t>(errno));
      os::send_message(channel.get(), notice.bytes(), {});
      return;
    }
    children_.push_back({os::ChildWatch(pid), std::move(channel)});
  }

  [[noreturn]] void be_child(os::Fd channel) {
    children_.clear();
    socket_.reset();
    client_.reset();
    std::signal(SIGINT, before_.interrupt);
    std::signal(SIGCHLD, before_.child);
    ::prctl(PR_SET_NAME, before_.name);
    try {
      ipc::FieldWriter notice;
      notice.put(Notice::started);
      notice.put(static_cast<std::int32_t>(::getpid()));
      const os::Fd self = os::open_pidfd(::getpid());
      if (!self) ::_exit(1);
      const int passed = self.get();
      if (!os::send_message(channel.get(), notice.bytes(), {&passed, 1})) ::_exit(1);
      StartMessage first;
      if (!os::receive_message(channel.get(), max_start_message, first.bytes, first.fds))
        ::_exit(1);
      run_sent_work(channel.release(), std::move(first), is_hosted_);
    } catch (const std::exception& error) {
      os::log(LogLevel::error, "processes", std::string("process: ") + error.what());
      ::_exit(1);
    }
  }

  static void report(const Child& child, const os::ChildEnd& end) {
    child.watch.collect();
    ipc::FieldWriter notice;
    notice.put(Notice::ended);
    notice.put(static_cast<std::int32_t>(end.signal));
    notice.put(static_cast<std::int32_t>(end.is_known ? end.exit_code : unknown_exit_code));
    try {
      os::send_message(child.channel.get(), notice.bytes(), {});
    } catch (const SystemError&) {
      // Its parent has no use for it.
    }
  }

  /// What a child gets back.
  struct Before {
    void (*interrupt)(int) = SIG_DFL;
    void (*child)(int) = SIG_DFL;
    char name[16]{};
  };

  os::Fd socket_;
  os::Fd client_;
  const bool is_hosted_;
  Before before_;
  std::list<Child> children_;
};

}  // namespace

void run_fork_server(int socket, StartMessage first, bool is_hosted) {
  ipc::FieldReader fields(first.bytes);
  fields.take(2 * sizeof(std::uint32_t));  // version and role
  auto& loop = *new ForkServerLoop(
      socket, first.fds.empty() ? os::Fd() : std::move(first.fds.front()), is_hosted);
  read_modules(fields, is_hosted);
  call_preloads(fields);
  loop.run();
}

}  // namespace hoist::detail::processes
