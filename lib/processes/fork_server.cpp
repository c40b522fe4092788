// SPDX-License-Identifier: BSD-3-Clause
#include "processes/fork_server.hpp"

#include <hoist/error.hpp>

#include <poll.h>
#include <sys/socket.h>
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

namespace detail::processes {

namespace {

/// So many servers, or children, may die in a row before a child has begun.
constexpr int max_attempts = 5;

/// A server that was started and may have died.
struct ServerProcess {
  os::Fd socket;
  os::ChildWatch watch;
  std::shared_ptr<const os::Fd> pidfd;  // for its children, who may outlive this
  int pid = 0;

  /// Whether it ends within so many milliseconds; -1: waits for that.
  bool has_died_within(int milliseconds) const {
    pollfd ended{watch.fd(), POLLIN, 0};
    int ready = 0;
    do {
      ready = ::poll(&ended, 1, milliseconds);
    } while (ready < 0 && errno == EINTR);
    return ready > 0;
  }
};

struct Servers {
  std::mutex mutex;
  std::shared_ptr<ServerProcess> server;
  std::vector<std::shared_ptr<ServerProcess>> former;  // which end when their children have
  std::vector<void (*)()> preloads;
  os::ForkHook fork_hook{mutex, [this] {
                           server.reset();
                           former.clear();
                         }};
};

Servers& servers() {
  static auto* const instance = new Servers;
  return *instance;
}

StartMessage server_message(const std::vector<void (*)()>& preloads) {
  std::vector<CodeAddress> addresses;
  for (auto* const f : preloads) {
    addresses.push_back(code_address_of(reinterpret_cast<const void*>(f)));
  }
  ipc::FieldWriter content;
  content.put(process_protocol);
  content.put(ProcessRole::fork_server);
  write_modules(content);
  content.put(static_cast<std::uint32_t>(addresses.size()));
  for (const CodeAddress& address : addresses) {
    content.put(address.module);
    content.put(address.offset);
  }
  StartMessage message;
  message.bytes.assign(content.bytes().begin(), content.bytes().end());
  if (os::Fd self = os::open_pidfd(::getpid())) message.fds.push_back(std::move(self));
  return message;
}

std::shared_ptr<ServerProcess> start_server(const std::vector<void (*)()>& preloads) {
  const StartMessage message = server_message(preloads);
  auto server = std::make_shared<ServerProcess>();
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

bool collect_if_dead(const std::shared_ptr<ServerProcess>& server) {
  if (!server->has_died_within(0)) return false;
  server->watch.collect();
  return true;
}

/// Kills a server and waits for its end.
void kill_server(const ServerProcess& server) {
  server.watch.signal(SIGKILL);
  server.has_died_within(-1);
  server.watch.collect();
}

/// The server that runs, started unless there is one.
std::shared_ptr<ServerProcess> running_server() {
  for (;;) {
    std::vector<void (*)()> preloads;
    {
      const std::lock_guard lock(servers().mutex);
      std::erase_if(servers().former, collect_if_dead);
      auto& server = servers().server;
      if (server != nullptr && collect_if_dead(server)) server.reset();
      if (server != nullptr) return server;
      preloads = servers().preloads;
    }
    // Without the lock, which forks take: where vfork is one (TSan), a launch is a fork.
    auto started = start_server(preloads);
    {
      const std::lock_guard lock(servers().mutex);
      auto& server = servers().server;
      if (server == nullptr && preloads.size() == servers().preloads.size()) {
        return server = std::move(started);
      }
    }
    kill_server(*started);  // another thread was first, or there is more to preload
  }
}

/// Whether a server that has dropped a request was killed or replaced meanwhile. What the server
/// had open is closed shortly before its end.
bool is_gone(const std::shared_ptr<ServerProcess>& server) {
  if (server->has_died_within(1000)) return true;
  const std::lock_guard lock(servers().mutex);
  return servers().server != server;
}

enum class Outcome { started, killed, dropped };

/// Asks a server for a child. `killed`: the child has ended before it ran anything; `dropped`: the
/// server hasn't forked.
Outcome ask_for_child(const ServerProcess& server, const SentWork& work, const Identity& identity,
                      std::shared_ptr<Peer>& child) {
  auto [ours, theirs] = os::socket_pair();
  const std::byte request{1};
  const int passed = theirs.get();
  if (!os::send_message(server.socket.get(), {&request, 1}, {&passed, 1})) return Outcome::dropped;
  theirs.reset();
  if (!work.send(ours.get())) return Outcome::dropped;
  // A child that did not get as far as this has not run anything.
  std::vector<std::byte> bytes;
  std::vector<os::Fd> fds;
  if (!os::receive_message(ours.get(), 64, bytes, fds)) return Outcome::dropped;
  ipc::FieldReader fields(bytes);
  const auto notice = fields.get<Notice>();
  if (notice == Notice::failed) os::throw_no_process(fields.get<std::int32_t>());
  if (notice != Notice::started || fds.empty()) return Outcome::killed;
  const int pid = fields.get<std::int32_t>();
  child = std::make_shared<Peer>(identity.name, identity.daemon, pid,
                                 os::ChildWatch(pid, std::move(fds.front())), std::move(ours),
                                 server.pidfd);
  return Outcome::started;
}

}  // namespace

std::shared_ptr<Peer> ForkServer::start(const SentWork& work, const Identity& identity) {
  std::shared_ptr<Peer> child;
  for (int attempt = 0; attempt < max_attempts; ++attempt) {
    const auto server = running_server();
    const Outcome outcome = ask_for_child(*server, work, identity, child);
    if (outcome == Outcome::started) return child;
    if (outcome == Outcome::dropped && !is_gone(server)) {
      throw SystemError(
          "can't start a process by StartMethod::forkserver: the fork server has too many "
          "descriptors open for another child (ulimit -n)",
          EMFILE);
    }
  }
  throw SystemError(
      "can't start a process by StartMethod::forkserver: the fork server, or the child, ended each "
      "time before it had begun; see what it wrote to standard error",
      ECHILD);
}

void ForkServer::preload(void (*f)()) {
  const std::lock_guard lock(servers().mutex);
  servers().preloads.push_back(f);
  if (servers().server == nullptr) return;
  ::shutdown(servers().server->socket.get(), SHUT_RDWR);
  servers().former.push_back(std::move(servers().server));
}

void ForkServer::stop() noexcept {
  const std::lock_guard lock(servers().mutex);
  if (servers().server != nullptr) servers().former.push_back(std::move(servers().server));
  for (const auto& server : servers().former) kill_server(*server);
  servers().former.clear();
}

int ForkServer::pid() {
  const std::lock_guard lock(servers().mutex);
  return servers().server != nullptr ? servers().server->pid : 0;
}

}  // namespace detail::processes

void forkserver_preload(void (*f)()) {
  if (f == nullptr) throw BadArgument("forkserver_preload: there is no function");
  detail::processes::ForkServer::preload(f);
}

}  // namespace hoist
