// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/detail/future_state.hpp>
#include <hoist/error.hpp>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <utility>

#include "base/spin.hpp"
#include "futures/executor_loop.hpp"
#include "os/process_id.hpp"

namespace hoist::detail {

/// One of the futures that are waited for.
struct FutureGroup::Member final : Continuation {
  Member(Shared& group, StatePointer<FutureState> its, std::size_t n)
      : shared(group), state(std::move(its)), number(n) {}
  void completed() noexcept override;

  Shared& shared;
  StatePointer<FutureState> state;  // null once next() has returned it
  const std::size_t number;
};

struct FutureGroup::Shared {
  void arrive(std::size_t number) {
    const std::lock_guard lock(mutex);
    done.push_back(number);
    has_news.store(true, std::memory_order_release);
    changed.notify_all();
  }

  const os::ProcessId process = os::own_process();
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<std::size_t> done;       // not returned yet
  std::atomic<bool> has_news{false};  // done is not empty
  std::size_t told = 0;               // of the members
  std::deque<Member> members;         // those that weren't done when they were added
  std::size_t left = 0;
  std::size_t untried = 0;                      // the first member that might run in this thread
  std::shared_ptr<futures::ExecutorLoop> loop;  // of all members so far that have one
  bool mixed = false;                           // there are members of other loops, or of none
};

void FutureGroup::Member::completed() noexcept {
  Shared& group = shared;
  const std::lock_guard lock(group.mutex);
  ++group.told;
  group.done.push_back(number);
  group.has_news.store(true, std::memory_order_release);
  // With the lock: whoever waits for this may destroy the group when it gets the lock.
  group.changed.notify_all();
}

FutureGroup::FutureGroup() : shared_(new Shared) {}

FutureGroup::~FutureGroup() {
  // In a forked child the threads that would tell are not there.
  if (shared_->process != os::own_process()) return;
  std::size_t told = 0;
  for (Member& member : shared_->members) {
    if (!member.state || !member.state->remove(member)) ++told;
  }
  {
    std::unique_lock lock(shared_->mutex);
    shared_->changed.wait(lock, [&] { return shared_->told == told; });
  }
  delete shared_;
}

void FutureGroup::add(StatePointer<FutureState> state, std::size_t number) {
  Shared& group = *shared_;
  ++group.left;
  if (state->is_done()) return group.arrive(number);
  const std::shared_ptr<futures::ExecutorLoop> loop = state->loop();
  Member& member = group.members.emplace_back(group, std::move(state), number);
  if (!member.state->add(member, false)) {
    group.members.pop_back();
    return group.arrive(number);
  }
  if (group.members.size() > 1 && loop != group.loop && !group.mixed) {
    group.mixed = true;
    if (group.loop != nullptr) group.loop->lead_in_background();
  }
  // One thread can lead one loop.
  if (group.mixed && loop != nullptr) loop->lead_in_background();
  if (group.members.size() == 1) group.loop = loop;
}

std::size_t FutureGroup::left() const noexcept { return shared_->left; }

std::optional<std::size_t> FutureGroup::next(Deadline deadline) {
  Shared& group = *shared_;
  if (group.left == 0) return std::nullopt;
  if (group.process != os::own_process()) {
    throw Cancelled("these futures are waited for by the parent of this process");
  }
  const auto news = [&] { return group.has_news.load(std::memory_order_acquire); };
  if (!news()) {
    if (!group.mixed && group.loop != nullptr && !group.loop->works_alone()) {
      if (!group.loop->await(news, deadline)) return std::nullopt;
    } else if (!wait_or_run(deadline)) {
      return std::nullopt;
    }
  }
  // Dropped without the lock: it may be the last handle, and the result the user's.
  StatePointer<FutureState> returned;
  const std::lock_guard lock(group.mutex);
  const std::size_t number = group.done.front();
  group.done.pop_front();
  group.has_news.store(!group.done.empty(), std::memory_order_release);
  --group.left;
  const auto found = std::ranges::lower_bound(group.members, number, {}, &Member::number);
  if (found != group.members.end() && found->number == number) {
    returned = std::exchange(found->state, {});
  }
  while (!group.members.empty() && !group.members.front().state) {
    group.members.pop_front();
    --group.told;
    if (group.untried > 0) --group.untried;
  }
  return number;
}

/// In a task, calls that would only be waited for are run here.
bool FutureGroup::wait_or_run(Deadline deadline) {
  Shared& group = *shared_;
  const futures::BlockedTask blocked;
  const auto news = [&] { return group.has_news.load(std::memory_order_acquire); };
  // A call that is made here can't be given up in time.
  const bool may_run = deadline == Deadline::max() && futures::in_task();
  for (; may_run && !news() && group.untried < group.members.size(); ++group.untried) {
    const StatePointer<FutureState> future = group.members[group.untried].state;
    if (!future) continue;
    if (const auto loop = future->loop()) loop->run_here(*future);
  }
  if (base::spin_until(news)) return true;
  std::unique_lock lock(group.mutex);
  if (deadline == Deadline::max()) {
    group.changed.wait(lock, news);
    return true;
  }
  return group.changed.wait_until(lock, deadline, news);
}

}  // namespace hoist::detail
