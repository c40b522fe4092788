// SPDX-License-Identifier: BSD-3-Clause
#include "multiprocess/queue_holders.hpp"

#include <algorithm>
#include <chrono>

#include "multiprocess/shared_store.hpp"
#include "os/user_threads.hpp"
#include "processes/peer.hpp"

namespace hoist::detail::multiprocess {

namespace {

/// A forked child has entered itself by then.
constexpr auto time_to_enter = std::chrono::seconds(2);
/// A process whose parent has died has received by then what it was started with.
constexpr auto time_to_receive = std::chrono::seconds(10);

Clock::rep now() { return Clock::now().time_since_epoch().count(); }

}  // namespace

std::shared_ptr<Holding> Holding::take(const SharedBlock& block, QueueHolders& holders) {
  if (holders.is_lost.load() != 0) return nullptr;
  return std::make_shared<Holding>(block, holders);
}

Holding::Holding(const SharedBlock& block, QueueHolders& holders)
    : block_(block), holders_(holders) {
  enroll();  // first, so that no child that is forked meanwhile is missed
  try {
    add();
  } catch (...) {
    withdraw();
    throw;
  }
}

Holding::~Holding() {
  withdraw();
  const Guard guard(holders_.mutex);
  QueueHolder* const own = holders_.table.find();
  if (own == nullptr) return;
  if (own->handles.load() > 1) {
    store(own->handles, own->handles.load() - 1);
  } else {
    holders_.table.free(*own);
  }
}

void Holding::add() {
  if (holders_.is_lost.load() != 0) return;
  for (bool swept = false;; swept = true) {
    {
      const Guard guard(holders_.mutex);
      if (QueueHolder* const own = holders_.table.find_or_add()) {
        store(own->handles, own->handles.load() + 1);
        return;
      }
    }
    if (swept) return store(holders_.is_lost, 1U);
    holders_.table.sweep(holders_.mutex, [](int) {});
  }
}

bool Holding::note_sent(bool to_new_process) {
  if (!to_new_process) {
    if (holders_.is_lost.load() == 0) store(holders_.is_lost, 1U);
    return false;
  }
  store(holders_.last_sent, now());
  about_to_store();
  holders_.under_way.fetch_add(1);
  return true;
}

void Holding::note_arrived() {
  about_to_store();
  holders_.under_way.fetch_sub(1);
}

bool Holding::is_alone() const {
  if (holders_.is_lost.load() != 0) return false;
  // Before the table, which whoever receives one enters first.
  const bool one_is_under_way = holders_.under_way.load() != 0;
  holders_.table.sweep(holders_.mutex, [](int) {});
  const os::ProcessId own = os::own_process();
  for (const QueueHolder& one : holders_.table.entries()) {
    const os::ProcessId process = one.process.load();
    if (process != 0 && process != own) return false;
  }
  if (one_is_under_way) {
    const Clock::duration since(now() - holders_.last_sent.load());
    if (since < time_to_receive) return false;
    // Any of them may be about to receive it; a child that was killed before that has lost it.
    const auto children = processes::known_children();
    if (std::ranges::any_of(children, [](const auto& child) { return !child->ended(); })) {
      return false;
    }
  }
  return os::is_only_user_thread();
}

void Others::look() const {
  if (!holding_.is_alone()) {
    alone_since_.reset();
  } else if (!alone_since_) {
    alone_since_ = Clock::now();
  } else if (Clock::now() - *alone_since_ >= time_to_enter) {
    are_gone_ = true;
  }
}

}  // namespace hoist::detail::multiprocess
