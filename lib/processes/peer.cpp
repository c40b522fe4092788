// SPDX-License-Identifier: BSD-3-Clause
#include "processes/peer.hpp"

#include <hoist/error.hpp>
#include <hoist/process.hpp>

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>

#include "ipc/channel.hpp"
#include "os/fork_hook.hpp"
#include "os/process_end.hpp"
#include "os/socket.hpp"
#include "processes/fork_server.hpp"

namespace hoist::detail::processes {

namespace {

/// How long a daemon has to end when it is asked to.
constexpr auto daemon_patience = std::chrono::seconds(1);

struct Children {
  std::mutex mutex;
  std::vector<std::shared_ptr<Peer>> all;
  os::ForkHook fork_hook{mutex, [this] {
                           for (const auto& child : all) child->forget();
                           all.clear();
                         }};
};

Children& children() {
  static auto* const instance = new Children;
  return *instance;
}

/// Waits until `fd` is readable or the deadline has passed.
bool wait_until_ended(int fd, Peer::Clock::time_point deadline) {
  pollfd watched{fd, POLLIN, 0};
  for (;;) {
    timespec left{};
    const bool forever = deadline == Peer::Clock::time_point::max();
    if (!forever) {
      const auto ns = std::max<std::int64_t>(
          0, std::chrono::nanoseconds(deadline - Peer::Clock::now()).count());
      left = {static_cast<time_t>(ns / 1'000'000'000), static_cast<long>(ns % 1'000'000'000)};
    }
    const int ready = ::ppoll(&watched, 1, forever ? nullptr : &left, nullptr);
    if (ready > 0) return true;
    if (ready == 0) return false;
    if (errno != EINTR) throw SystemError("can't wait for a process", errno);
  }
}

/// At the end of this process: daemons are terminated, the others are waited for.
void end_children() {
  const auto all = known_children();
  const auto asked = Peer::Clock::now();
  for (const auto& child : all) {
    if (child->daemon()) child->signal(SIGTERM);
  }
  for (const auto& child : all) {
    if (child->daemon()) child->end(asked);
  }
  for (const auto& child : all) child->wait(Peer::Clock::time_point::max());
  ForkServer::stop();
}

}  // namespace

void add_child(const std::shared_ptr<Peer>& child) {
  os::at_process_end(end_children);
  const std::lock_guard lock(children().mutex);
  children().all.push_back(child);
}

void remove_child(const Peer* child) {
  std::shared_ptr<Peer> removed;  // destroyed without the lock
  const std::lock_guard lock(children().mutex);
  auto& all = children().all;
  const auto at = std::ranges::find_if(all, [&](const auto& one) { return one.get() == child; });
  if (at == all.end()) return;
  removed = std::move(*at);
  all.erase(at);
}

std::vector<std::shared_ptr<Peer>> known_children() {
  const std::lock_guard lock(children().mutex);
  return children().all;
}

Peer::Peer(std::string name, bool daemon, int pid, os::ChildWatch watch, os::Fd channel,
           std::shared_ptr<const os::Fd> server)
    : name_(std::move(name)),
      daemon_(daemon),
      pid_(pid),
      owner_(::getpid()),
      watch_(std::move(watch)),
      channel_(std::move(channel)),
      server_(std::move(server)) {}

bool Peer::is_own_child() const noexcept { return owner_ != 0 && owner_ == ::getpid(); }

bool Peer::ended() {
  if (pid_ == ::getpid()) return false;
  if (!watch_) return true;
  if (!wait_until_ended(fd(), Clock::time_point())) return false;
  if (is_own_child()) collect();
  return true;
}

bool Peer::wait(Clock::time_point deadline) {
  if (pid_ == ::getpid()) throw BadArgument("a process can't wait for its own end");
  if (!watch_) return true;
  if (!wait_until_ended(fd(), deadline)) return false;
  if (is_own_child()) collect();
  return true;
}

std::optional<int> Peer::exit_code() {
  if (!is_own_child() || !ended()) return std::nullopt;
  const std::lock_guard lock(mutex_);
  return exit_code_;
}

void Peer::end(Clock::time_point asked) {
  signal(SIGTERM);
  if (wait(asked + daemon_patience)) return;
  signal(SIGKILL);
  wait(Clock::time_point::max());
}

void Peer::forget() noexcept {
  watch_ = {};
  channel_.reset();
  server_.reset();
}

void Peer::collect() {
  {
    const std::lock_guard lock(mutex_);
    if (exit_code_) return;
    exit_code_ = find_exit_code();
    channel_.reset();
    server_.reset();
  }
  remove_child(this);
}

/// Of a child that has ended. Of those of a fork server its own notice may be there before the
/// server has collected it.
int Peer::find_exit_code() {
  const auto code_of = [](const os::ChildEnd& end) {
    return end.signal != 0 ? -end.signal : end.exit_code;
  };
  if (server_ == nullptr) {
    const auto end = watch_.end();
    watch_.collect();
    if (end && end->is_known) return code_of(*end);
    return noticed(false).value_or(unknown_exit_code);
  }
  if (const auto code = noticed(true)) return *code;
  const auto end = watch_.end();
  return end && end->is_known ? code_of(*end) : unknown_exit_code;
}

/// The exit code that the child or the fork server has told. With `waits`, the server may be about
/// to tell.
std::optional<int> Peer::noticed(bool waits) {
  std::vector<std::byte> bytes;
  std::vector<os::Fd> fds;
  for (;;) {
    pollfd watched[] = {{channel_.get(), POLLIN, 0},
                        {server_ != nullptr ? server_->get() : -1, POLLIN, 0}};
    if (::poll(watched, 2, waits ? -1 : 0) < 0 && errno == EINTR) continue;
    if (watched[0].revents == 0) return std::nullopt;
    if (!os::receive_message(channel_.get(), 64, bytes, fds)) return std::nullopt;
    ipc::FieldReader fields(bytes);
    const auto notice = fields.get<Notice>();
    if (notice == Notice::left) return fields.get<std::int32_t>();
    if (notice != Notice::ended) continue;
    const auto signal = fields.get<std::int32_t>();
    const auto code = fields.get<std::int32_t>();
    return signal != 0 ? -signal : code;
  }
}

}  // namespace hoist::detail::processes
