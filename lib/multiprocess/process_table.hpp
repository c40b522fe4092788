// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <span>

#include "multiprocess/robust_mutex.hpp"
#include "multiprocess/shared_store.hpp"
#include "os/process_id.hpp"

namespace hoist::detail::multiprocess {

/// In shared memory: what each process has of an object. An entry has an atomic `process`, whose it
/// is; `is_vacant()`, whether it may become another's; and `clear()`, which empties it.
template <class Entry>
class ProcessTable {
 public:
  static constexpr std::size_t capacity = 500;

  std::span<Entry> entries() { return {entries_.data(), used_.load()}; }
  std::span<const Entry> entries() const { return {entries_.data(), used_.load()}; }

  /// This process's entry, or null. With the object's mutex held.
  Entry* find() {
    const os::ProcessId own = os::own_process();
    for (Entry& entry : entries()) {
      if (entry.process.load() == own) return &entry;
    }
    return nullptr;
  }

  /// Likewise, a new one where there was none; null where the table is full.
  Entry* find_or_add() {
    if (Entry* const known = find()) return known;
    Entry* place = nullptr;
    for (Entry& entry : entries()) {
      if (place == nullptr && entry.is_vacant()) place = &entry;
    }
    if (place == nullptr) {
      const std::size_t used = used_.load();
      if (used == capacity) return nullptr;
      place = &entries_[used];
      store(used_, used + 1);
    }
    store(place->process, os::own_process());
    return place;
  }

  /// Frees the entries of dead processes, after `note_death(pid)` for each. Asks the system, so
  /// without the mutex, which is held only for the changes.
  template <class NoteDeath>
  void sweep(RobustMutex& mutex, const NoteDeath& note_death) {
    for (Entry& entry : entries()) {
      const os::ProcessId process = entry.process.load();
      if (process == 0 || os::is_running(process)) continue;
      const Guard guard(mutex);
      if (entry.process.load() != process) continue;
      note_death(os::pid_of(process));
      free(entry);
    }
  }

  /// With the mutex held.
  static void free(Entry& entry) {
    entry.clear();
    store(entry.process, os::ProcessId{0});
  }

 private:
  std::atomic<std::size_t> used_{0};  // all entries in use are among the first so many
  std::array<Entry, capacity> entries_;
};

}  // namespace hoist::detail::multiprocess
