// SPDX-License-Identifier: BSD-3-Clause
#include "os/fork_safety.hpp"

#include <hoist/error.hpp>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <vector>

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

/// Whether a thread is on its way out (PF_EXITING, which is set before others can join it): it is
/// still listed for a moment, and holds no lock any more. `directory` is its own in /proc.
bool is_ending(const std::filesystem::path& directory) {
  constexpr unsigned long exiting = 0x4;
  std::ifstream file(directory / "stat");
  std::string text(std::istreambuf_iterator<char>(file), {});
  // Behind the name, which may have any characters: state, five numbers, flags.
  text.erase(0, text.rfind(')') + 1);
  char state = 0;
  long skipped = 0;
  unsigned long flags = 0;
  std::istringstream fields(text);
  fields >> state;
  for (int i = 0; i < 5; ++i) fields >> skipped;
  // What can't be read is gone.
  return !(fields >> flags) || (flags & exiting) != 0;
}

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
  const auto listed = std::filesystem::directory_iterator("/proc/self/task", error);
  if (error) return;
  const std::vector<std::filesystem::path> threads(begin(listed), end(listed));
  const std::size_t own = 1 + ThreadPool::own_threads() + sanitizer_threads;
  if (threads.size() <= own) return;
  const std::size_t all =
      threads.size() - static_cast<std::size_t>(std::ranges::count_if(threads, is_ending));
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
