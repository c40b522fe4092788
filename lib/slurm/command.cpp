// SPDX-License-Identifier: BSD-3-Clause
#include "slurm/command.hpp"

#include <hoist/error.hpp>

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <limits>
#include <string_view>
#include <utility>

#include "os/child_watch.hpp"
#include "os/file.hpp"

extern "C" char** environ;

namespace hoist::detail::slurm {

namespace {

using Clock = std::chrono::steady_clock;

struct Pipe {
  os::Fd read;
  os::Fd write;
};

Pipe make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) throw SystemError("can't make a pipe for a command", errno);
  ::fcntl(ends[0], F_SETFL, O_NONBLOCK);
  return {os::Fd(ends[0]), os::Fd(ends[1])};
}

/// The variables of this process but those that begin with one of `hidden`.
std::vector<char*> environment_without(const std::vector<std::string>& hidden) {
  std::vector<char*> variables;
  for (char** at = environ; at != nullptr && *at != nullptr; ++at) {
    const std::string_view variable(*at);
    const bool is_hidden = std::ranges::any_of(
        hidden, [&](const std::string& name) { return variable.starts_with(name); });
    if (!is_hidden) variables.push_back(*at);
  }
  variables.push_back(nullptr);
  return variables;
}

pid_t spawn(const std::vector<std::string>& words, const std::vector<std::string>& hidden,
            const Pipe& out, const Pipe& err) {
  std::vector<char*> arguments;
  for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  const std::vector<char*> variables = environment_without(hidden);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_adddup2(&actions, out.write.get(), STDOUT_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, err.write.get(), STDERR_FILENO);
  posix_spawnattr_t attributes;
  ::posix_spawnattr_init(&attributes);
  sigset_t none;
  ::sigemptyset(&none);
  ::posix_spawnattr_setsigmask(&attributes, &none);
  ::posix_spawnattr_setpgroup(&attributes, 0);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK);
  pid_t pid = -1;
  const int error =
      ::posix_spawnp(&pid, arguments[0], &actions, &attributes, arguments.data(), variables.data());
  ::posix_spawn_file_actions_destroy(&actions);
  ::posix_spawnattr_destroy(&attributes);
  if (error == ENOENT)
    throw NotFound("there is no command \"" + words[0] + "\" in the search path");
  if (error != 0) throw SystemError("can't run \"" + words[0] + "\"", error);
  return pid;
}

/// Appends what there is now; closes the pipe at its end.
void read_available(os::Fd& from, std::string& to) {
  char buffer[16384];
  while (from) {
    const ssize_t got = ::read(from.get(), buffer, sizeof buffer);
    if (got > 0) to.append(buffer, static_cast<std::size_t>(got));
    if (got < 0 && errno == EAGAIN) return;
    if (got == 0 || (got < 0 && errno != EINTR)) from.reset();
  }
}

/// Returns whether it exited with 0. A program that has its children collected by others is not
/// told: then what was said on stderr decides.
bool collect(pid_t pid, const std::string& errors) {
  int status = 0;
  while (::waitpid(pid, &status, 0) != pid) {
    if (errno != EINTR) return errors.empty();
  }
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

}  // namespace

CommandEnd run_command(const std::vector<std::string>& words, std::chrono::milliseconds limit,
                       const std::vector<std::string>& hidden) {
  Pipe out = make_pipe();
  Pipe err = make_pipe();
  const pid_t pid = spawn(words, hidden, out, err);
  out.write.reset();
  err.write.reset();
  CommandEnd end;
  const auto deadline = Clock::now() + limit;
  // Its end is what counts: what it has started may keep the pipes open, and it may close them
  // early. Where there are no such descriptors, their ends have to tell.
  const os::Fd process = os::open_pidfd(pid);
  for (bool has_ended = false; !has_ended && (process || out.read || err.read);) {
    pollfd fds[3] = {
        {out.read.get(), POLLIN, 0}, {err.read.get(), POLLIN, 0}, {process.get(), POLLIN, 0}};
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (left <= 0) {
      end.in_time = false;
      ::kill(-pid, SIGKILL);
      break;
    }
    constexpr std::int64_t longest = std::numeric_limits<int>::max();
    if (::poll(fds, 3, static_cast<int>(std::min<std::int64_t>(left, longest))) <= 0) continue;
    has_ended = fds[2].revents != 0;
    read_available(out.read, end.output);
    read_available(err.read, end.errors);
  }
  end.succeeded = collect(pid, end.errors) && end.in_time;
  return end;
}

}  // namespace hoist::detail::slurm
