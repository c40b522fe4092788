// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/backend.hpp>

#include <cstddef>
#include <exception>
#include <filesystem>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "os/atomic_file.hpp"

namespace hoist::detail::parallel {

/// Records when and where every task ran, and writes it in the Chrome trace event format.
class Trace {
 public:
  /// Throws SystemError where the file can't be created: better now than when the work is done.
  Trace(std::filesystem::path path, std::string backend, unsigned n_jobs);

  /// `error`: why it has failed; null for a task that has not.
  void task(std::size_t task, const Worker& worker, Clock::time_point began, double seconds,
            const std::exception_ptr& error = {});
  void batch(TaskRange tasks, const Worker& worker, Clock::time_point began, double seconds);
  /// Throws SystemError naming the path.
  void write();

 private:
  struct Event {
    std::size_t task;
    std::size_t tasks = 0;  // in the batch; 0: the event is a single task
    unsigned worker = 0;
    int pid = 0;
    double began;
    double seconds;
    std::string error = {};  // empty: it has not failed
  };
  void note(const Worker& worker, Event event);
  double micros(Clock::time_point at) const;

  os::AtomicFile file_;
  std::string backend_;
  unsigned n_jobs_;
  Clock::time_point start_ = Clock::now();
  std::mutex mutex_;
  std::vector<Event> events_;
  std::map<std::pair<int, unsigned>, std::string> rows_;  // of workers: by pid and number
};

}  // namespace hoist::detail::parallel
