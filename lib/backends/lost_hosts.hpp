// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/parallel_options.hpp>

#include <cstddef>
#include <exception>
#include <map>
#include <string>
#include <vector>

#include "workers/worker_process.hpp"

namespace hoist::detail::backends {

/// What becomes of the tasks of one loop that were on machines which were lost.
class LostHosts {
 public:
  explicit LostHosts(OnLostHost rule) : rule_(rule) {}

  /// A task may have been running on a machine when that was lost: why it fails; null if it is to
  /// be run elsewhere.
  std::exception_ptr note(std::size_t task, int pid, const workers::WorkerEnd& end);
  /// Whether tasks that were on lost machines are to be run yet. Until they are done workers get
  /// one task at a time, so that if another machine is lost it is known by which.
  bool has_suspects() const { return !lost_.empty(); }
  /// Whether a task may be given to a worker of that machine now, as it is then: not if it was on
  /// a lost machine, and so was one that this machine has.
  bool may_go(std::size_t task, const std::string& machine);
  void done(std::size_t task);

 private:
  const OnLostHost rule_;
  std::map<std::size_t, std::vector<std::string>> lost_;  // machines, by task
  std::map<std::string, std::size_t> there_;              // which of these each machine has
};

}  // namespace hoist::detail::backends
