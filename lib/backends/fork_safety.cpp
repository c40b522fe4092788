// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/error.hpp>

#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <string>

#include "backends/fork_worker.hpp"
#include "os/thread_pool.hpp"

namespace hoist::detail::backends {

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

constexpr const char* remedy =
    "; use \"spawn\" or \"threads\", or force_fork if tasks do only what is safe then";

}  // namespace

void check_fork_is_safe(bool force) {
  if (force) return;
  if (os::ThreadPool::in_pool()) {
    throw BadArgument(std::string("backend fork can't be used in a task of backend threads, whose "
                                  "other threads would leave locks behind in the children") +
                      remedy);
  }
  std::error_code error;
  const auto tasks = std::filesystem::directory_iterator("/proc/self/task", error);
  if (error) return;
  const auto all = static_cast<std::size_t>(std::distance(begin(tasks), end(tasks)));
  const std::size_t own = 1 + os::ThreadPool::own_threads() + sanitizer_threads;
  if (all > own) {
    throw BadArgument("backend fork can't be used while other threads of the program run (" +
                      std::to_string(all - own) +
                      "): they would leave locks behind in the "
                      "children" +
                      remedy);
  }
}

ForkHold::ForkHold(bool force) : held_(os::ThreadPool::shared().hold_for_fork()) {
  if (!held_ && !force) {
    throw BadArgument(std::string("backend fork can't be used while other loops of this process "
                                  "run on backend threads") +
                      remedy);
  }
}

ForkHold::~ForkHold() {
  if (held_) os::ThreadPool::shared().release_in_parent();
}

}  // namespace hoist::detail::backends
