// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "remote/transport.hpp"
#include "workers/output_lines.hpp"

namespace hoist::detail::remote {

/// What the workers of a host have printed, on its way to their masters. What a worker may have
/// under way is limited as it is on one machine: until the master has written it, it counts.
/// Thread-safe. Owned by a shared_ptr: pipes of workers may outlive their host.
class Printed : public std::enable_shared_from_this<Printed> {
 public:
  struct Lines {
    Peer master = 0;
    std::uint32_t worker = 0;
    int to = 1;  ///< the descriptor: 1 or 2
    std::string text;
  };
  /// `bell` is rung when there are some.
  explicit Printed(std::size_t bell) : bell_(bell) {}

  /// For the pipe of a worker.
  workers::OutputLines::Put put(Peer master, std::uint32_t worker, int to);
  bool empty() const { return !any_.load(std::memory_order_acquire); }
  /// What is to be sent.
  std::vector<Lines> take();
  /// The master has written the oldest lines of those for `to`.
  void note_written(Peer master, int to);
  void forget(Peer master);

 private:
  const std::size_t bell_;
  std::mutex mutex_;
  std::atomic<bool> any_{false};
  std::vector<Lines> lines_;
  std::map<std::pair<Peer, int>, std::deque<std::function<void()>>> unwritten_;
};

}  // namespace hoist::detail::remote
