// SPDX-License-Identifier: BSD-3-Clause
#include "os/fork_safety.hpp"

#include <hoist/error.hpp>

#include <cstddef>
#include <string>

#include "os/thread_pool.hpp"
#include "os/user_threads.hpp"

namespace hoist::detail::os {

namespace {

[[noreturn]] void throw_unsafe(const ForkUser& user, const std::string& reason) {
  throw BadArgument(std::string(user.name) + " can't be used " + reason + "; " + user.remedy);
}

}  // namespace

void check_fork_is_safe(bool force, const ForkUser& user) {
  if (force) return;
  if (ThreadPool::in_pool()) {
    throw_unsafe(user,
                 "in a task of backend threads, whose other threads would leave locks behind in "
                 "the children");
  }
  if (const std::size_t others = other_threads().value_or(0); others > 0) {
    throw_unsafe(user, "while other threads of the program run (" + std::to_string(others) +
                           "): they would leave locks behind in the children");
  }
}

ForkHold::ForkHold(bool force, const ForkUser& user) : held_(ThreadPool::shared().hold_for_fork()) {
  if (!held_ && !force) {
    throw_unsafe(user, "while other loops of this process run on backend threads");
  }
}

ForkHold::~ForkHold() {
  if (held_) ThreadPool::shared().release_in_parent();
}

}  // namespace hoist::detail::os
