// SPDX-License-Identifier: BSD-3-Clause
#include "os/fork_safety.hpp"

#include <hoist/error.hpp>

#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <string>

#include "os/thread_pool.hpp"

namespace hoist::detail::os {

namespace {

#if defined(__SANITIZE_THREAD__)
constexpr std::size_t sanitizer_threads = 1;
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
constexpr std::size_t sanitizer_threads = 1;
#else
constexpr std::size_t sanitizer_threads = 0;
#endif
#else
constexpr std::size_t sanitizer_threads = 0;
#endif

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
  std::error_code error;
  const auto tasks = std::filesystem::directory_iterator("/proc/self/task", error);
  if (error) return;
  const auto all = static_cast<std::size_t>(std::distance(begin(tasks), end(tasks)));
  const std::size_t own = 1 + ThreadPool::own_threads() + sanitizer_threads;
  if (all > own) {
    throw_unsafe(user, "while other threads of the program run (" + std::to_string(all - own) +
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
