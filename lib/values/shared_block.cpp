// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/detail/shared_handle.hpp>
#include <hoist/error.hpp>

#include "arrays/only_mapping.hpp"

namespace hoist::detail {

void SharedBlock::throw_not_a_value() {
  throw CannotTravel(
      "locks, semaphores, shared values and the like are handles to memory, not values: they can "
      "be "
      "passed to tasks, but not stored, hashed or shared read-only");
}

SharedBlock SharedBlock::received(std::shared_ptr<Storage> storage) {
  if (storage->passing() != Storage::Passing::written) throw_not_a_value();
  return {BlockTag(), arrays::only_mapping(std::move(storage))};
}

}  // namespace hoist::detail
