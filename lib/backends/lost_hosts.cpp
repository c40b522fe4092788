// SPDX-License-Identifier: BSD-3-Clause
#include "backends/lost_hosts.hpp"

#include <hoist/error.hpp>

namespace hoist::detail::backends {

namespace {

/// That many machines are not lost by chance while they run one and the same task.
constexpr std::size_t most_lost = 3;

}  // namespace

bool LostHosts::may_go(std::size_t task, const std::string& machine) {
  return !lost_.contains(task) || there_.try_emplace(machine, task).first->second == task;
}

void LostHosts::done(std::size_t task) {
  lost_.erase(task);
  std::erase_if(there_, [task](const auto& one) { return one.second == task; });
}

std::exception_ptr LostHosts::note(std::size_t task, int pid, const workers::WorkerEnd& end) {
  there_.erase(end.machine);
  std::vector<std::string>& machines = lost_[task];
  machines.push_back(end.machine + " " + end.lost);
  if (rule_ == OnLostHost::rerun && machines.size() < most_lost) return nullptr;
  std::string what = "task " + std::to_string(task) + " was on a machine that was lost: ";
  for (std::size_t i = 0; i < machines.size(); ++i) what += (i > 0 ? ", then " : "") + machines[i];
  what += rule_ == OnLostHost::fail
              ? "; it may have run, and on_lost_host says that it must not run twice"
              : "; it is not run again, since it may be what ends them";
  done(task);
  return std::make_exception_ptr(WorkerDied(what, pid, end.how.signal, end.how.exit_code));
}

}  // namespace hoist::detail::backends
