// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/slurm.hpp>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

namespace hoist::detail::slurm {

/// Has Slurm start worker hosts: one on each node of the allocation that this process is in, or
/// else those that `options` ask for, as a job array. Hosts of an array that have ended are
/// replaced while loops want them. A thread sees to all that. Thread-safe.
class Fleet {
 public:
  /// `variable` is what makes a process of this program a host, in its environment. Files of the
  /// fleet are in `directory`, which nodes share. `changed` is called now and then.
  Fleet(const SlurmOptions& options, std::string variable, std::string value,
        std::filesystem::path directory, std::function<void()> changed);
  ~Fleet();

  /// How many hosts are worth waiting for before a loop begins.
  unsigned expected() const { return expected_; }
  /// Whether others come in the place of hosts that have left.
  bool replaces() const { return !is_inside_; }
  /// Why there will be no more hosts; empty while there may be.
  std::string failure() const;
  /// Loops want hosts, now.
  void want() { wanted_.store(std::chrono::steady_clock::now().time_since_epoch().count()); }
  /// A host has joined.
  void note_joined() { joined_.fetch_add(1); }
  /// No more are started from now on.
  void stop();
  /// After that, once the hosts were told to end: sees that Slurm is done with them, which takes a
  /// few seconds at most.
  void finish();

 private:
  void run();
  void run_step();
  void keep_array();
  void submit(unsigned hosts);
  void fail(const std::string& why);
  bool is_wanted() const;
  bool pause(std::chrono::milliseconds time);

  const SlurmOptions options_;
  const std::string variable_;
  const std::string value_;
  const std::filesystem::path directory_;
  const std::function<void()> changed_;
  const bool is_inside_;  // of an allocation
  const std::string job_;
  unsigned expected_ = 1;
  std::atomic<std::int64_t> wanted_{0};  // when; steady clock
  std::atomic<int> joined_{0};
  mutable std::mutex mutex_;
  std::condition_variable changed_state_;
  bool is_stopped_ = false;
  bool is_done_ = false;  // run() has returned
  std::string failure_;
  std::jthread thread_;
};

}  // namespace hoist::detail::slurm
