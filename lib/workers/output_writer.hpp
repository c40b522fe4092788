// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <string>

#include "ipc/ring.hpp"

namespace hoist::detail::workers {

/// A loop that was cut short waits no longer for somebody to read what its tasks have printed.
inline constexpr auto stopped_output_patience = std::chrono::milliseconds(100);

/// Writes what workers print to stdout or stderr of this process, in a thread of its own: whoever
/// reads there may pause for as long as it likes, and no other thread of hoist waits for that.
/// All functions are thread-safe.
class OutputWriter {
 public:
  /// The writer for STDOUT_FILENO or STDERR_FILENO. A forked child gets its own.
  static OutputWriter& of(int fd);

  /// Appends whole lines. The thread calls `written` when they are written, or can't be. The queue
  /// has no limit: OutputLines limits what each worker has in it.
  void put(std::string lines, std::function<void()> written);
  /// Returns when all that was put before the call is written, or at the deadline.
  void flush(ipc::Clock::time_point deadline);
  /// Both writers, as far as there are any.
  static void flush_all(ipc::Clock::time_point deadline);

 private:
  struct Item {
    std::string lines;
    std::function<void()> written;
  };
  explicit OutputWriter(int fd);
  [[noreturn]] void run();

  const int fd_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Item> queue_;
  std::uint64_t put_ = 0;      // items ever put
  std::uint64_t written_ = 0;  // items ever written
};

}  // namespace hoist::detail::workers
