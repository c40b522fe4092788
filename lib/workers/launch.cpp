// SPDX-License-Identifier: BSD-3-Clause
#include "workers/launch.hpp"

#include <hoist/error.hpp>

// Boost.Process 1.81 has its vfork launcher, but only compiles it for POSIX before 2008, which took
// vfork out of the standard, not out of the system.
#ifndef BOOST_POSIX_HAS_VFORK
#define BOOST_POSIX_HAS_VFORK 1
#endif
// The only source with Boost.Process: it takes seconds to compile.
#if __has_include(<boost/process/v1/child.hpp>)  // from Boost 1.86 on, beside another Process
#include <boost/process/v1/child.hpp>
#include <boost/process/v1/error.hpp>
#include <boost/process/v1/extend.hpp>
#include <boost/process/v1/posix.hpp>
namespace boost_process = boost::process::v1;
#else
#include <boost/process/child.hpp>
#include <boost/process/error.hpp>
#include <boost/process/extend.hpp>
#include <boost/process/posix.hpp>
namespace boost_process = boost::process;
#endif

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <string_view>
#include <system_error>
#include <utility>

#include "base/quoted.hpp"
#include "os/child_watch.hpp"
#include "os/file.hpp"
#include "os/own_thread.hpp"

extern "C" char** environ;

namespace hoist::detail::workers {

namespace {

namespace bp = boost_process;

/// What Boost.Process calls before and after its vfork. Between that and exec the child shares this
/// process's memory: it only makes system calls.
class Setup : public bp::extend::handler {
 public:
  Setup(const Launch& launch, int null, const sigset_t& signals)
      : program_(launch.program.path.c_str()),
        words_(launch.program.arguments),
        null_(null),
        own_group_(launch.own_group),
        signals_(signals),
        channel_(out_of_the_way(launch.channel)) {
    if (launch.output >= 0) output_ = out_of_the_way(launch.output);
    if (launch.error >= 0) error_ = out_of_the_way(launch.error);
    for (std::string& word : words_) arguments_.push_back(word.data());
    arguments_.push_back(nullptr);
    for (const std::string& variable : launch.environment) {
      environment_.push_back(const_cast<char*>(variable.c_str()));
    }
    environment_.push_back(nullptr);
  }

  template <class Executor>
  void on_setup(Executor& executor) {
    executor.exe = program_;
    executor.cmd_line = arguments_.data();
    executor.env = environment_.data();
  }

  template <class Executor>
  void on_exec_setup(Executor&) const {
    if (own_group_) ::setpgid(0, 0);
    ::dup2(null_, 0);
    if (output_) ::dup2(output_.get(), 1);
    if (error_) ::dup2(error_.get(), 2);
    ::dup2(channel_.get(), worker_channel_fd);
    if (::syscall(SYS_close_range, worker_channel_fd + 1, ~0U, 0) != 0) {
      for (int fd = worker_channel_fd + 1; fd < 4096; ++fd) ::close(fd);
    }
    ::sigprocmask(SIG_SETMASK, &signals_, nullptr);
  }

 private:
  /// A copy that is none of 0 to 3, which they are about to become.
  static os::Fd out_of_the_way(int fd) {
    os::Fd copy(::fcntl(fd, F_DUPFD_CLOEXEC, 16));
    if (!copy) throw SystemError("can't start a worker process", errno);
    return copy;
  }

  const char* program_;
  std::vector<std::string> words_;
  int null_;
  bool own_group_;
  sigset_t signals_;
  os::Fd channel_;
  os::Fd output_;
  os::Fd error_;
  std::vector<char*> arguments_;
  std::vector<char*> environment_;
};

}  // namespace

void check_variables(const std::map<std::string, std::string>& variables) {
  for (const auto& [name, value] : variables) {
    if (!name.empty() && (name + value).find('\0') == std::string::npos &&
        name.find('=') == std::string::npos) {
      continue;
    }
    throw BadArgument("env: \"" + std::string(name.c_str()) +
                      "\" can't be set: a variable's name is not empty and has no '=', and "
                      "neither name nor value has a zero byte");
  }
}

std::vector<std::string> environment_with(const std::map<std::string, std::string>& added) {
  check_variables(added);
  std::map<std::string, std::string> all = added;
  for (char** at = environ; at != nullptr && *at != nullptr; ++at) {
    const std::string_view text(*at);
    const std::size_t end = text.find('=');
    if (end != std::string_view::npos) all.emplace(text.substr(0, end), text.substr(end + 1));
  }
  std::vector<std::string> environment;
  environment.reserve(all.size());
  for (const auto& [name, value] : all) environment.emplace_back(name).append("=").append(value);
  return environment;
}

pid_t launch_worker(const Launch& launch) {
  check_can_have_workers();
  os::Fd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!null) throw SystemError("can't open \"/dev/null\" for a worker process", errno);
  os::Fd high(::fcntl(null.get(), F_DUPFD_CLOEXEC, 16));
  if (!high) throw SystemError("can't start a worker process", errno);
  sigset_t none;
  ::sigemptyset(&none);
  std::error_code error;
  pid_t pid = -1;
  {
    // No handler of this process may run in the child while it shares this memory.
    const os::BlockSignals blocked;
    Setup setup(launch, high.get(), none);
    bp::child child(setup, bp::posix::use_vfork, error);
    pid = child.id();
    child.detach();
  }
  if (!error && pid > 0) return pid;
  if (launch.program.is_hosted && error.value() != EAGAIN && error.value() != ENOMEM) {
    throw SystemError(
        "can't start " + base::quoted(launch.program.path) + " as the hoist-worker of this program",
        error.value());
  }
  if (::access("/proc/self/exe", F_OK) != 0) {
    throw SystemError("can't start a worker process: /proc is not mounted", ENOENT);
  }
  os::throw_no_process(error.value());
}

}  // namespace hoist::detail::workers
