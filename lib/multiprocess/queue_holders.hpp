// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/message_queue.hpp>
#include <hoist/detail/shared_handle.hpp>

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>

#include "multiprocess/enrolled.hpp"
#include "multiprocess/process_table.hpp"
#include "multiprocess/robust_mutex.hpp"

namespace hoist::detail::multiprocess {

/// A process that has a queue.
struct QueueHolder {
  std::atomic<os::ProcessId> process{0};
  std::atomic<std::uint32_t> handles{0};

  bool is_vacant() const { return process.load() == 0; }
  void clear() { store(handles, 0U); }
};

/// In the memory of a queue: who has it, so that a wait that nobody is left to end is an error.
///
/// Those who have it are the process that made it, those that were forked by one that has it, and
/// those that were started with it as a Process. A queue that is sent in any other way may wait
/// anywhere, in a message or in a task, for somebody to take it: it is not followed any more.
struct QueueHolders {
  explicit QueueHolders(bool are_followed) : is_lost(are_followed ? 0 : 1) {}

  RobustMutex mutex{false, OwnerDeath::recover};
  ProcessTable<QueueHolder> table;
  std::atomic<std::uint32_t> is_lost;  ///< from sight, for good
  /// Handles that are on their way to a new process, or were when it was killed.
  std::atomic<std::uint32_t> under_way{0};
  std::atomic<Clock::rep> last_sent{0};
};

/// This process's part in the holders, which its handles have in common.
class Holding final : public Enrolled {
 public:
  /// Null where they are not followed. The block is that of the holders.
  static std::shared_ptr<Holding> take(const SharedBlock& block, QueueHolders& holders);
  Holding(const SharedBlock& block, QueueHolders& holders);
  ~Holding() override;

  void inherit() override { add(); }
  /// A handle is being sent. Whether note_arrived() will be called by who gets it.
  bool note_sent(bool to_new_process);
  void note_arrived();
  /// Whether no other process has a handle or will get one, and no other thread of this process
  /// could use one.
  bool is_alone() const;

 private:
  void add();

  const SharedBlock block_;
  QueueHolders& holders_;
};

/// For one wait: those who could end it. They count as gone when it was alone for a while, since
/// a process that was just forked has yet to say so.
class Others final : public Peers {
 public:
  explicit Others(const Holding& holding) : holding_(holding) {}
  bool are_gone() const override { return are_gone_; }
  void look() const override;

 private:
  const Holding& holding_;
  mutable std::optional<Clock::time_point> alone_since_;
  mutable bool are_gone_ = false;
};

}  // namespace hoist::detail::multiprocess
