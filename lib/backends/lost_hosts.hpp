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
  void done(std::size_t task) { lost_.erase(task); }

 private:
  const OnLostHost rule_;
  std::map<std::size_t, std::vector<std::string>> lost_;  // machines, by task
};

}  // namespace hoist::detail::backends
