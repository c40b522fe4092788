// SPDX-License-Identifier: BSD-3-Clause
#include "os/fork_safety.hpp"

#include <hoist/error.hpp>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <string>
#include <thread>

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

/// A thread that ends is no longer counted as hoist's own, or was joined, a little before the
/// system has forgotten it.
constexpr auto end_of_thread = std::chrono::milliseconds(50);

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
  const auto deadline = std::chrono::steady_clock::now() + end_of_thread;
  for (;;) {
    std::error_code error;
    const auto tasks = std::filesystem::directory_iterator("/proc/self/task", error);
    if (error) return;
    const auto all = static_cast<std::size_t>(std::distance(begin(tasks), end(tasks)));
    const std::size_t own = 1 + ThreadPool::own_threads() + sanitizer_threads;
    if (all <= own) return;
    if (std::chrono::steady_clock::now() >= deadline) {
      throw_unsafe(user, "while other threads of the program run (" + std::to_string(all - own) +
                             "): they would leave locks behind in the children");
    }
    std::this_thread::sleep_for(std::chrono::microseconds(100));
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
