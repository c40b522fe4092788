// SPDX-License-Identifier: BSD-3-Clause
#include "os/log.hpp"

#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <memory>
#include <mutex>
#include <utility>

#include "os/fork_hook.hpp"

namespace hoist {

namespace detail::os {

namespace {

/// Never destroyed: there may be something to say while the process ends.
struct Current {
  std::mutex mutex;
  std::shared_ptr<const LogHandler> handler;
  ForkHook fork_hook{mutex};
};

Current& current() {
  static Current& one = *new Current;
  return one;
}

thread_local bool is_in_handler = false;

}  // namespace

bool log_to_handler(LogLevel level, std::string_view source, std::string_view text) noexcept {
  if (is_in_handler) return false;
  std::shared_ptr<const LogHandler> handler;
  {
    const std::lock_guard lock(current().mutex);
    handler = current().handler;
  }
  if (handler == nullptr) return false;
  is_in_handler = true;
  try {
    (*handler)({level, source, text});
  } catch (...) {
    // There is nobody else to tell.
  }
  is_in_handler = false;
  return true;
}

void log(LogLevel level, std::string_view source, std::string_view text) noexcept {
  if (log_to_handler(level, source, text)) return;
  char begin[] = "[hoist] ";
  char end[] = "\n";
  const std::array<iovec, 3> line{iovec{begin, sizeof begin - 1},
                                  iovec{const_cast<char*>(text.data()), text.size()},
                                  iovec{end, sizeof end - 1}};
  // One write, so that the lines of several processes don't mix.
  [[maybe_unused]] const auto written = ::writev(STDERR_FILENO, line.data(), line.size());
}

}  // namespace detail::os

LogHandler set_log_handler(LogHandler handler) {
  auto& current = detail::os::current();
  std::shared_ptr<const LogHandler> next;
  if (handler) next = std::make_shared<const LogHandler>(std::move(handler));
  {
    const std::lock_guard lock(current.mutex);
    current.handler.swap(next);
  }
  return next == nullptr ? LogHandler() : *next;
}

}  // namespace hoist
