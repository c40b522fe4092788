// SPDX-License-Identifier: BSD-3-Clause
#include "backends/worker_end.hpp"

#include <hoist/error.hpp>

#include <csignal>
#include <cstring>

#include "base/seconds_text.hpp"

namespace hoist::detail::backends {

namespace {

std::string how_it_ended(const os::ChildEnd& end) {
  if (!end.is_known) {
    return "ended in an unknown way (the program ignores SIGCHLD or waits for any child)";
  }
  if (end.signal == 0) return "exited with code " + std::to_string(end.exit_code);
  std::string text = "was killed by signal " + std::to_string(end.signal);
  if (const char* name = ::sigabbrev_np(end.signal)) text += std::string(" (SIG") + name + ")";
  if (end.signal == SIGKILL) text += ", as the system ends processes when memory is short,";
  return text;
}

}  // namespace

std::exception_ptr worker_died(int pid, const workers::WorkerEnd& end, const std::string& when) {
  std::string what = "worker process " + std::to_string(pid) +
                     (end.machine.empty() ? "" : " on " + end.machine) + " " +
                     how_it_ended(end.how) + " " + when;
  if (!end.last_lines.empty()) what += "; the last it said on stderr:\n" + end.last_lines;
  return std::make_exception_ptr(WorkerDied(what, pid, end.how.signal, end.how.exit_code));
}

std::exception_ptr killed_for_task(int pid, std::size_t task, const TimeLimit& limit) {
  return std::make_exception_ptr(
      TimedOut("task " + std::to_string(task) + " was still running after its task_timeout of " +
               base::seconds_text(limit.seconds()) + ": its worker process " + std::to_string(pid) +
               " was killed"));
}

}  // namespace hoist::detail::backends
