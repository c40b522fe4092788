// SPDX-License-Identifier: BSD-3-Clause
#include "os/fork_hook.hpp"

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <vector>

namespace hoist::detail::os {

namespace {

constinit std::mutex entries_mutex;
/// Never destroyed: processes fork while they end, too.
constinit std::vector<ForkHook::Entry>* entries = nullptr;

constinit std::vector<void (*)()>* last_actions = nullptr;
constinit std::atomic<std::uint64_t> forks{0};

/// Locks all mutexes as std::lock does: it holds none while it waits for one, so that their order
/// doesn't matter.
void before_fork() {
  forks.fetch_add(1, std::memory_order_relaxed);
  entries_mutex.lock();
  auto& all = *entries;
  for (std::size_t awaited = 0; !all.empty();) {
    all[awaited].lock(all[awaited].mutex);
    std::size_t busy = 0;
    while (busy < all.size() && (busy == awaited || all[busy].try_lock(all[busy].mutex))) ++busy;
    if (busy == all.size()) return;
    for (std::size_t i = 0; i < busy; ++i) {
      if (i != awaited) all[i].unlock(all[i].mutex);
    }
    all[awaited].unlock(all[awaited].mutex);
    awaited = busy;
  }
}

void after_fork(bool in_child) {
  for (auto entry = entries->rbegin(); entry != entries->rend(); ++entry) {
    if (in_child && entry->in_child) entry->in_child();
    entry->unlock(entry->mutex);
  }
  entries_mutex.unlock();
  if (!in_child || last_actions == nullptr) return;
  for (auto* const action : *last_actions) action();
}

}  // namespace

std::uint64_t fork_count() noexcept { return forks.load(std::memory_order_relaxed); }

void ForkHook::at_last(void (*action)()) {
  const std::lock_guard lock(entries_mutex);
  if (last_actions == nullptr) last_actions = new std::vector<void (*)()>;
  last_actions->push_back(action);
}

void ForkHook::add(Entry entry) {
  const std::lock_guard lock(entries_mutex);
  if (entries == nullptr) {
    entries = new std::vector<Entry>;
    ::pthread_atfork(&before_fork, [] { after_fork(false); }, [] { after_fork(true); });
  }
  const auto is_kept = [&](const Entry& known) {
    return known.owner == nullptr && known.mutex == entry.mutex;
  };
  if (entry.owner == nullptr && std::any_of(entries->begin(), entries->end(), is_kept)) return;
  entries->push_back(std::move(entry));
}

void ForkHook::remove(const ForkHook* owner) {
  const std::lock_guard lock(entries_mutex);
  std::erase_if(*entries, [&](const Entry& known) { return known.owner == owner; });
}

}  // namespace hoist::detail::os
