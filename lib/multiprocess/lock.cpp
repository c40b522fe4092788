// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/lock.hpp>

#include <new>

#include "multiprocess/robust_mutex.hpp"

namespace hoist {

using detail::multiprocess::RobustMutex;

LockHandle::LockHandle(bool recursive, const LockOptions& options)
    : SharedHandle(detail::SharedBlock::make("hoist-lock", sizeof(RobustMutex))) {
  new (block().data()) RobustMutex(recursive, options.on_owner_death);
}

RobustMutex& LockHandle::mutex() const { return block().as<RobustMutex>(); }

bool LockHandle::take(std::chrono::steady_clock::time_point deadline) const {
  switch (mutex().take(deadline)) {
    case RobustMutex::Taken::yes: taken(); return true;
    case RobustMutex::Taken::no: return false;
    case RobustMutex::Taken::poisoned: break;
  }
  const OwnerDied error = mutex().death();
  mutex().release();
  throw error;
}

void LockHandle::lock() const { take(std::chrono::steady_clock::time_point::max()); }

bool LockHandle::try_lock() const { return take(std::chrono::steady_clock::time_point::min()); }

void LockHandle::taken() const {
  if (mutex().depth() == 1) block().storage()->pin();
}

void LockHandle::unlock() const {
  if (!mutex().is_held()) throw BadArgument("unlock of a lock that this thread does not hold");
  if (mutex().depth() == 1) block().storage()->unpin();
  mutex().release();
}

bool LockHandle::recover() const {
  if (!mutex().is_held()) {
    mutex().take();
    taken();
  }
  if (!mutex().is_poisoned()) return false;
  mutex().heal();
  return true;
}

bool LockHandle::held() const { return mutex().is_held(); }

bool LockHandle::locked() const { return mutex().holder() != 0; }

}  // namespace hoist
