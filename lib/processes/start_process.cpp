// SPDX-License-Identifier: BSD-3-Clause
#include "processes/start_process.hpp"

#include <hoist/error.hpp>

#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "os/fork_safety.hpp"
#include "os/log.hpp"
#include "os/own_thread.hpp"
#include "os/socket.hpp"
#include "processes/fork_server.hpp"
#include "processes/own_process.hpp"
#include "processes/sent_work.hpp"
#include "workers/launch.hpp"

namespace hoist::detail::processes {

namespace {

constexpr os::ForkUser start_by_fork{
    "StartMethod::fork",
    "use StartMethod::spawn, or force_fork if the function does only what is safe then"};

/// What a process with `process_variable` runs instead of main.
void run_process(int channel, bool is_hosted) {
  ::unsetenv(workers::process_variable);
  try {
    StartMessage first;
    if (!os::receive_message(channel, max_start_message, first.bytes, first.fds)) ::_exit(1);
    ipc::FieldReader head(first.bytes);
    if (head.get<std::uint32_t>() != process_protocol) {
      os::log(LogLevel::error, "processes",
              "this process and its parent are of different versions");
      ::_exit(125);
    }
    if (head.get<ProcessRole>() == ProcessRole::fork_server) {
      run_fork_server(channel, std::move(first), is_hosted);
    }
    run_sent_work(channel, std::move(first), is_hosted);
  } catch (const std::exception& error) {
    os::log(LogLevel::error, "processes", std::string("process: ") + error.what());
    ::_exit(125);
  }
}

/// Before main of every program that has processes.
const bool is_announced = (workers::run_process = &run_process, true);

/// Handlers of the parent are about the parent.
void drop_signal_handlers() {
  for (int number = 1; number <= SIGRTMAX; ++number) {
    struct sigaction action{};
    if (::sigaction(number, nullptr, &action) != 0) continue;
    if (action.sa_handler == SIG_DFL || action.sa_handler == SIG_IGN) continue;
    action.sa_handler = SIG_DFL;
    action.sa_flags = 0;
    ::sigaction(number, &action, nullptr);
  }
}

Identity child_identity(const ProcessOptions& options, const std::string& number) {
  Identity parent = own_identity();
  return {.name = options.name,
          .number = number,
          .daemon = options.daemon,
          .start_method = parent.start_method,
          .parent_name = std::move(parent.name),
          .parent_pid = ::getpid()};
}

/// The child runs nothing before the parent has a descriptor of it: it could end, be collected by
/// somebody else, and its number given to another process.
[[noreturn]] void be_forked_child(os::Fd channel, const Identity& identity,
                                  const ProcessOptions& options, ProcessWork& work,
                                  const std::function<void()>& in_child) {
  std::vector<std::byte> bytes;
  std::vector<os::Fd> fds;
  if (!os::receive_message(channel.get(), 1, bytes, fds)) ::_exit(1);
  os::Fd parent = os::open_pidfd(identity.parent_pid);
  if (::getppid() != identity.parent_pid) parent.reset();
  close_input();
  set_variables(options.env);
  set_own_identity(identity, std::move(parent));
  in_child();
  live_as_process(channel.release(), [&] { work.run(); });
}

std::shared_ptr<Peer> fork_process(const ProcessOptions& options, const Identity& identity,
                                   ProcessWork& work, const std::function<void()>& in_child) {
  os::check_fork_is_safe(options.force_fork, start_by_fork);
  const os::ForkHold hold(options.force_fork, start_by_fork);
  auto [ours, theirs] = os::socket_pair();
  flush_standard_streams();
  // What is in the buffers of other files would be written twice. Another thread may hold one of
  // these while it waits for input.
  if (!options.force_fork) std::fflush(nullptr);
  std::optional<os::BlockSignals> blocked(std::in_place);
  const pid_t pid = ::fork();
  if (pid == 0) {
    ours.reset();
    drop_signal_handlers();
    blocked.reset();
    try {
      be_forked_child(std::move(theirs), identity, options, work, in_child);
    } catch (const std::exception& error) {
      os::log(LogLevel::error, "processes", std::string("process: ") + error.what());
    }
    ::_exit(1);
  }
  if (pid < 0) os::throw_no_process(errno);
  os::ChildWatch watch(pid);
  blocked.reset();
  theirs.reset();
  const std::byte go{1};
  os::send_message(ours.get(), {&go, 1}, {});
  return std::make_shared<Peer>(identity.name, identity.daemon, pid, std::move(watch),
                                std::move(ours), nullptr);
}

std::shared_ptr<Peer> spawn_process(const ProcessOptions& options, const Identity& identity,
                                    const SentWork& work) {
  auto [ours, theirs] = os::socket_pair();
  auto variables = options.env;
  variables[workers::process_variable] = std::to_string(workers::worker_channel_fd);
  const workers::Launch launch{.program = workers::worker_program(),
                               .environment = workers::environment_with(variables),
                               .channel = theirs.get(),
                               .own_group = false};
  const pid_t pid = workers::launch_worker(launch);
  os::ChildWatch watch(pid);
  theirs.reset();
  try {
    work.send(ours.get());  // it waits for this, so it has not ended before it is watched
  } catch (...) {
    watch.signal(SIGKILL);
    watch.collect();
    throw;
  }
  return std::make_shared<Peer>(identity.name, identity.daemon, pid, std::move(watch),
                                std::move(ours), nullptr);
}

}  // namespace

std::shared_ptr<Peer> start_process(const ProcessOptions& options, const std::string& number,
                                    ProcessWork& work, const std::function<void()>& in_child) {
  workers::check_variables(options.env);
  const Identity identity = child_identity(options, number);
  const StartMethod method = options.start_method.value_or(get_start_method());
  std::shared_ptr<Peer> child;
  if (method == StartMethod::fork) {
    child = fork_process(options, identity, work, in_child);
  } else {
    const bool by_server = method == StartMethod::forkserver;
    const SentWork sent(identity, work, by_server, options.env);
    flush_standard_streams();
    child = by_server ? ForkServer::start(sent, identity) : spawn_process(options, identity, sent);
  }
  add_child(child);
  return child;
}

}  // namespace hoist::detail::processes
