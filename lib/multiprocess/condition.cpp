// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/sync.hpp>

#include <algorithm>
#include <new>

#include "multiprocess/robust_mutex.hpp"
#include "multiprocess/shared_store.hpp"

namespace hoist {

namespace {

using namespace detail::multiprocess;

struct ConditionState {
  std::atomic<std::uint64_t> notifications{0};
  detail::os::Bell bell;
};

/// Releases a mutex, however often it was taken, and takes it again.
class Released {
 public:
  explicit Released(RobustMutex& mutex) : mutex_(mutex) {
    if (!mutex_.is_held()) {
      throw BadArgument(
          "a condition is waited for with its lock held: this thread does not hold it");
    }
    depth_ = mutex_.depth();
    for (std::uint32_t i = 0; i < depth_; ++i) mutex_.release();
  }
  Released(const Released&) = delete;
  Released& operator=(const Released&) = delete;
  ~Released() {
    for (std::uint32_t i = 0; i < depth_; ++i) mutex_.take();
  }

 private:
  RobustMutex& mutex_;
  std::uint32_t depth_ = 0;
};

}  // namespace

Condition::Condition(LockHandle lock)
    : SharedHandle(detail::SharedBlock::make("hoist-condition", sizeof(ConditionState))),
      lock_(std::move(lock)) {
  new (block().data()) ConditionState;
}

void Condition::notify_all() const {
  auto& state = block().as<ConditionState>();
  about_to_store();
  state.notifications.fetch_add(1);
  about_to_store();
  state.bell.ring();
}

bool Condition::wait_until(std::chrono::steady_clock::time_point deadline) const {
  auto& state = block().as<ConditionState>();
  RobustMutex& mutex = lock_.mutex();
  const std::uint64_t before = state.notifications.load();
  bool notified = false;
  {
    const Released released(mutex);
    notified = wait_and_look(
        state.bell, deadline, [&] { return state.notifications.load() != before; }, [] {});
  }
  // The lock is held, as who waits expects it even of an error.
  if (mutex.is_poisoned()) throw mutex.death();
  return notified;
}

void Condition::wait() const { wait_until(std::chrono::steady_clock::time_point::max()); }

bool Condition::wait_briefly(std::chrono::steady_clock::time_point deadline) const {
  const auto now = std::chrono::steady_clock::now();
  wait_until(std::min(deadline, now + look_interval));
  return std::chrono::steady_clock::now() < deadline;
}

}  // namespace hoist
