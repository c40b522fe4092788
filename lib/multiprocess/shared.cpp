// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/shared.hpp>

#include <new>

#include "multiprocess/robust_mutex.hpp"

namespace hoist::detail {

using multiprocess::RobustMutex;

LockedBlock::LockedBlock(std::size_t bytes, const SharedOptions& options)
    : SharedHandle(SharedBlock::make("hoist-shared", header + bytes)) {
  static_assert(sizeof(RobustMutex) <= header);
  if (options.lock) new (block().data()) RobustMutex(true, options.on_owner_death);
}

bool LockedBlock::has_lock() const { return block().as<RobustMutex>().is_made(); }

RLock LockedBlock::lock() const {
  if (!has_lock()) throw BadArgument("this shared value or array was made without a lock");
  return RLock(block());
}

}  // namespace hoist::detail
