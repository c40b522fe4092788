// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/message_queue.hpp>
#include <hoist/error.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

#include "multiprocess/message_ring.hpp"
#include "multiprocess/process_table.hpp"
#include "multiprocess/queue_holders.hpp"
#include "multiprocess/shared_store.hpp"

namespace hoist::detail::multiprocess {

/// How many items a process has got from a queue and not done with.
struct InHand {
  std::atomic<os::ProcessId> process{0};
  std::atomic<std::uint32_t> count{0};

  bool is_vacant() const { return count.load() == 0; }
  void clear() { store(count, 0U); }
};

/// A queue in shared memory; the chunks of the ring follow.
struct QueueState {
  /// Writers stop when it is `closing`, also in the middle of a message. It is `ended` when none
  /// is at work any more: what is in the ring is all.
  enum Closing : std::uint32_t { open, closing, ended };

  QueueState(std::size_t max_items, std::size_t bytes, MessageQueue::Knows knows)
      : counts_tasks(knows.tasks),
        is_pipe(!knows.holders),
        max_bytes(bytes),
        holders(knows.holders),
        ring(max_items, bytes) {}

  const bool counts_tasks;
  const bool is_pipe;  ///< or a part of something else that has ends
  const std::uint64_t max_bytes;
  std::atomic<std::uint32_t> closed{open};

  // Bytes in memory files of messages that were ever sent and taken. The second is set to what a
  // message says the first was, before it is taken. After deaths they may differ by what is lost,
  // until the next such message is taken; what fits into an empty queue never depends on them.
  std::atomic<std::uint64_t> outside_sent{0};
  std::atomic<std::uint64_t> outside_taken{0};
  std::uint64_t last_tag = 0;

  /// Somebody waits for the socket to become readable, and has been sent something for that.
  std::atomic<std::uint32_t> watched{0};
  std::atomic<std::uint32_t> signalled{0};

  // Of queues whose tasks are counted.
  RobustMutex tasks_mutex{false, OwnerDeath::recover};
  std::atomic<std::uint32_t> tasks_done{0};
  std::atomic<int> last_dead{0};
  os::Bell all_done;
  ProcessTable<InHand> in_hand;

  QueueHolders holders;

  MessageRing ring;

  /// Nothing is refused for its size alone.
  bool has_room_outside(std::uint64_t more) const {
    if (more == 0 || ring.head.load() == ring.tail.load()) return true;
    const std::uint64_t waiting = outside_sent.load() - outside_taken.load();
    return waiting == 0 || waiting + more <= max_bytes;
  }

  /// Items that were put and are not done with.
  std::uint32_t unfinished() const {
    const std::uint32_t got = ring.head.load().count;
    const std::uint32_t put = ring.tail.load().count;
    const bool is_counted = static_cast<std::int32_t>(put - got) >= 0;
    return (is_counted ? put : got) - tasks_done.load();
  }

  /// With the right to read.
  void note_taken() {
    for (bool swept = false;; swept = true) {
      {
        const Guard guard(tasks_mutex);
        if (InHand* const own = in_hand.find_or_add()) {
          store(own->count, own->count.load() + 1);
          return;
        }
      }
      if (swept) {
        throw BadArgument("more than " + std::to_string(in_hand.capacity) +
                          " processes have items of one queue in hand");
      }
      sweep();
    }
  }

  /// True if it was the last. Who dies in between has one item in hand that is lost.
  bool task_done() {
    const Guard guard(tasks_mutex);
    if (unfinished() == 0) {
      throw BadArgument("task_done() was called more often than there were items");
    }
    InHand* const own = in_hand.find();
    if (own != nullptr && own->count.load() > 0) {
      store(tasks_done, tasks_done.load() + 1);
      store(own->count, own->count.load() - 1);
    } else {
      const auto entries = in_hand.entries();
      const auto other = std::ranges::find_if(entries, [](auto& one) { return one.count > 0; });
      if (other != entries.end()) store(other->count, other->count.load() - 1);
      store(tasks_done, tasks_done.load() + 1);
    }
    return unfinished() == 0;
  }

  /// Forgets what dead processes have in hand.
  void sweep() {
    in_hand.sweep(tasks_mutex, [this](int pid) { store(last_dead, pid); });
  }

  /// Counts as done what no living process has in hand, and throws OwnerDied if there is any. With
  /// the right to read.
  void drop_lost_tasks() {
    const Guard guard(tasks_mutex);
    std::uint32_t lost = ring.head.load().count - tasks_done.load();
    for (const InHand& one : in_hand.entries()) lost -= one.count.load();
    // Less than none where a process has died between two stores and is not forgotten yet.
    if (static_cast<std::int32_t>(lost) <= 0) return;
    store(tasks_done, tasks_done.load() + lost);
    throw OwnerDied("process " + std::to_string(last_dead.load()) +
                        " ended without task_done() for what it had got from the queue (" +
                        std::to_string(lost) + (lost == 1 ? " item is" : " items are") + " lost)",
                    last_dead.load(), std::chrono::system_clock::now());
  }
};

}  // namespace hoist::detail::multiprocess
