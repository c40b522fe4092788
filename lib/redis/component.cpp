// SPDX-License-Identifier: BSD-3-Clause
#include "redis/registration.hpp"

namespace {

const bool registered = [] {
  hoist::detail::redis::register_stores();
  hoist::detail::redis::register_loops();
  return true;
}();

}  // namespace

/// Programs refer to it so that the linker takes this file: see the target hoist::redis.
extern "C" const bool* const hoist_redis_is_linked = &registered;
