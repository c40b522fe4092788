// SPDX-License-Identifier: BSD-3-Clause
#include "multiprocess/fork_server.hpp"

#include <hoist/error.hpp>

#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <mutex>
#include <utility>
#include <vector>

#include "os/fork_hook.hpp"
#include "os/socket.hpp"
#include "workers/launch.hpp"

namespace hoist {

namespace detail::multiprocess {

namespace {

/// So many servers in a row may die before a child has begun.
constexpr int max_attempts = 5;

/// A server that was started and may have died.
struct Server {
  os::Fd socket;
  os::ChildWatch watch;
  std::shared_ptr<const os::Fd> pidfd;  // for its children, who may outlive this
  int pid = 0;

  bool has_died() const { return watch.end().has_value(); }
};

struct Current {
  std::mutex mutex;
  std::shared_ptr<Server> server;
  std::vector<std::shared_ptr<Server>> former;  // which end when their children have
  std::vector<void (*)()> preloads;
  os::ForkHook fork_hook{mutex, [this] {
                           server.reset();
                           former.clear();
                         }};
};

Current& current() {
  static auto* const instance = new Current;
  return *instance;
}

Message greeting(const std::vector<void (*)()>& preloads) {
  std::vector<CodeAddress> addresses;
  for (auto* const f : preloads) {
    addresses.push_back(code_address_of(reinterpret_cast<const void*>(f)));
  }
  ipc::FieldWriter content;
  content.put(protocol_version);
  content.put(Role::fork_server);
  write_modules(content);
  content.put(static_cast<std::uint32_t>(addresses.size()));
  for (const CodeAddress& address : addresses) {
    content.put(address.module);
    content.put(address.offset);
  }
  Message message;
  message.bytes.assign(content.bytes().begin(), content.bytes().end());
  if (os::Fd self = os::open_pidfd(::getpid())) message.fds.push_back(std::move(self));
  return message;
}

std::shared_ptr<Server> start_server(const std::vector<void (*)()>& preloads) {
  const Message message = greeting(preloads);
  auto server = std::make_shared<Server>();
  auto [ours, theirs] = os::socket_pair();
  workers::Launch launch{
      .program = workers::worker_program(),
      .environment = workers::environment_with(
          {{workers::process_variable, std::to_string(workers::worker_channel_fd)}}),
      .channel = theirs.get(),
      .own_group = false};
  server->pid = workers::launch_worker(launch);
  server->watch = os::ChildWatch(server->pid);
  theirs.reset();
  server->socket = std::move(ours);
  server->pidfd = std::make_shared<os::Fd>(os::open_pidfd(server->pid));
  message.send(server->socket.get());
  return server;
}

bool collect_if_dead(const std::shared_ptr<Server>& server) {
  if (!server->has_died()) return false;
  server->watch.collect();
  return true;
}

/// The server that runs, started unless there is one.
std::shared_ptr<Server> running_server() {
  const std::lock_guard lock(current().mutex);
  std::erase_if(current().former, collect_if_dead);
  auto& server = current().server;
  if (server != nullptr && collect_if_dead(server)) server.reset();
  if (server == nullptr) server = start_server(current().preloads);
  return server;
}

/// Once a server has not done what it was asked: waits for its end, so that the next is another.
void await_end(const Server& server) {
  server.watch.signal(SIGKILL);
  pollfd ended{server.watch.fd(), POLLIN, 0};
  while (::poll(&ended, 1, -1) < 0 && errno == EINTR) {
  }
}

/// Null if the server died before a child had begun.
std::shared_ptr<Peer> try_start(const Server& server, const SentWork& work,
                                const Identity& identity) {
  auto [ours, theirs] = os::socket_pair();
  const std::byte request{1};
  const int passed = theirs.get();
  if (!os::send_message(server.socket.get(), {&request, 1}, {&passed, 1})) return nullptr;
  theirs.reset();
  if (!work.send(ours.get())) return nullptr;
  // A child that did not get as far as this has not run anything.
  std::vector<std::byte> bytes;
  std::vector<os::Fd> fds;
  if (!os::receive_message(ours.get(), 64, bytes, fds)) return nullptr;
  ipc::FieldReader fields(bytes);
  const auto notice = fields.get<Notice>();
  if (notice == Notice::failed) os::throw_no_process(fields.get<std::int32_t>());
  if (notice != Notice::started || fds.empty()) return nullptr;
  const int pid = fields.get<std::int32_t>();
  return std::make_shared<Peer>(identity.name, identity.daemon, pid,
                                os::ChildWatch(pid, std::move(fds.front())), std::move(ours),
                                server.pidfd);
}

}  // namespace

std::shared_ptr<Peer> ForkServer::start(const SentWork& work, const Identity& identity) {
  for (int attempt = 0; attempt < max_attempts; ++attempt) {
    const auto server = running_server();
    if (auto child = try_start(*server, work, identity)) return child;
    await_end(*server);
  }
  throw SystemError(
      "can't start a process by StartMethod::forkserver: the fork server ended each time before it "
      "had forked; see what it wrote to standard error",
      ECHILD);
}

void ForkServer::preload(void (*f)()) {
  const std::lock_guard lock(current().mutex);
  current().preloads.push_back(f);
  if (current().server == nullptr) return;
  current().server->socket.reset();
  current().former.push_back(std::move(current().server));
}

void ForkServer::stop() noexcept {
  const std::lock_guard lock(current().mutex);
  if (current().server != nullptr) current().former.push_back(std::move(current().server));
  for (const auto& server : current().former) {
    await_end(*server);
    server->watch.collect();
  }
  current().former.clear();
}

int ForkServer::pid() {
  const std::lock_guard lock(current().mutex);
  return current().server != nullptr ? current().server->pid : 0;
}

}  // namespace detail::multiprocess

void forkserver_preload(void (*f)()) {
  if (f == nullptr) throw BadArgument("forkserver_preload: there is no function");
  detail::multiprocess::ForkServer::preload(f);
}

}  // namespace hoist
