// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/backend.hpp>

#include <cstddef>
#include <exception>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "backends/fork_area.hpp"
#include "backends/in_flight.hpp"
#include "ipc/link.hpp"
#include "os/child_watch.hpp"
#include "os/file.hpp"
#include "os/fork_safety.hpp"
#include "os/thread_settings.hpp"
#include "workers/output_lines.hpp"
#include "workers/payload.hpp"

namespace hoist::detail::backends {

/// For messages where a fork would be unsafe.
inline constexpr os::ForkUser fork_backend{
    "backend fork",
    "use \"spawn\" or \"threads\", or force_fork if tasks do only what is safe then"};

/// How long a look at output that waits for a reader may be put off.
constexpr auto reader_recheck = std::chrono::milliseconds(10);

/// A forked child, seen from its parent. Forked by the constructor, gone after the destructor.
class ForkWorker {
 public:
  ForkWorker(Loop& loop, int event_fd, unsigned number, std::optional<int> processor,
             const os::ThreadSettings& like);
  ForkWorker(const ForkWorker&) = delete;
  ForkWorker& operator=(const ForkWorker&) = delete;
  ~ForkWorker();

  unsigned number() const { return worker_.number; }
  /// How many tasks the loop had when it was forked: it can run these.
  std::size_t known() const { return known_; }
  int death_fd() const { return watch_.fd(); }
  /// For poll(2); -1 while there is nothing to take.
  int stderr_fd() const { return errors_->watched_fd(); }
  /// What it prints waits for whoever reads this process's stderr: to be looked at again.
  bool waits_for_reader() const { return errors_->at_limit(); }

  /// Gives it batches as far as it has room for them.
  void feed();
  bool has_work() const { return !in_flight_.empty(); }
  /// Whether it has tasks to run behind the next one.
  bool has_several() const { return in_flight_.size() > 1; }
  /// Makes it return tasks that it hasn't begun, for a worker that has none.
  void share();
  /// Whether there are results to take. With `sleeping`, the child is told to wake this process by
  /// the event when there are.
  bool has_news(bool sleeping);
  /// Takes the results that came; true if there were any.
  bool receive();
  /// Passes on what it has printed to stderr. Does not block.
  void take_stderr() noexcept;
  ipc::Clock::time_point task_deadline() const;
  void end_overdue_task();
  /// Ends it if that is the task it runs; returns whether it is.
  bool end_task(std::size_t task);
  bool has(std::size_t task) const { return in_flight_.has(task); }
  void kill();
  void ask_to_leave();
  /// After its death: settles what it had done, fails the task that it ran, and gives the others
  /// back. Returns whether it ran one.
  bool handle_exit();
  /// WorkerDied, saying how it ended.
  std::exception_ptr death(const std::string& when) const;

 private:
  void take_frame(ipc::Kind kind, std::span<const std::byte> content);
  void reap();
  /// Leaves those that are still wanted, as far as they are in a row.
  void drop_unwanted(TaskRange& tasks);

  Loop& loop_;
  Worker worker_;
  const std::size_t known_;
  ForkArea* area_ = nullptr;
  ipc::ChannelMemory channel_;
  os::ChildWatch watch_;
  std::shared_ptr<workers::OutputLines> errors_;
  os::Fd socket_;
  bool reaped_ = false;
  bool leaving_ = false;
  os::ChildEnd end_;
  std::size_t ended_task_ = ForkArea::none;  // for which it was killed
  bool timed_out_ = false;                   // that took too long; otherwise nobody wants it
  InFlight in_flight_;

  ipc::Link link_;
  workers::SegmentTable segments_;  // of the result that is coming in
};

}  // namespace hoist::detail::backends
