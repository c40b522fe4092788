// SPDX-License-Identifier: BSD-3-Clause
#include "os/user_threads.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <system_error>
#include <vector>

#include "os/thread_pool.hpp"

namespace hoist::detail::os {

namespace {

/// Of the sanitizer, or of the emulator that the program is built for (tools/arm64).
#if defined(__SANITIZE_THREAD__) || defined(HOIST_RUN_BY_QEMU)
constexpr std::size_t tool_threads = 1;
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
constexpr std::size_t tool_threads = 1;
#else
constexpr std::size_t tool_threads = 0;
#endif
#else
constexpr std::size_t tool_threads = 0;
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

}  // namespace

std::optional<std::size_t> other_threads() {
  std::error_code error;
  const auto listed = std::filesystem::directory_iterator("/proc/self/task", error);
  if (error) return std::nullopt;
  const std::vector<std::filesystem::path> threads(begin(listed), end(listed));
  const std::size_t own = 1 + ThreadPool::own_threads() + tool_threads;
  if (threads.size() <= own) return 0;
  const std::size_t all =
      threads.size() - static_cast<std::size_t>(std::ranges::count_if(threads, is_ending));
  return all > own ? all - own : 0;
}

bool is_only_user_thread() {
  return !ThreadPool::in_pool() && !ThreadPool::shared().may_call_user() && other_threads() == 0;
}

}  // namespace hoist::detail::os
