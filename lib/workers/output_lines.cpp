// SPDX-License-Identifier: BSD-3-Clause
#include <unistd.h>

#include <cerrno>

#include "workers/worker_process.hpp"

namespace hoist::detail::workers {

namespace {

constexpr std::size_t kept_lines = 10;
/// Longer lines are passed on in pieces, so that output without line ends can't fill the memory.
constexpr std::size_t longest_line = 64 * 1024;
constexpr std::size_t longest_kept = 1000;

void write_out(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = ::write(fd, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return;  // nobody reads: nothing to be done about it
    text.remove_prefix(static_cast<std::size_t>(n));
  }
}

}  // namespace

void OutputLines::line(std::string_view text) {
  write_out(to_, prefix_ + std::string(text) + "\n");
  if (last_.size() == kept_lines) last_.pop_front();
  last_.emplace_back(text.substr(0, longest_kept));
}

bool OutputLines::move() {
  const std::lock_guard lock(mutex_);
  char buffer[8192];
  while (!done_) {
    const ssize_t n = ::read(from_.get(), buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) return true;
    if (n <= 0) {
      done_ = true;
      if (!rest_.empty()) line(rest_);
      rest_.clear();
      break;
    }
    rest_.append(buffer, static_cast<std::size_t>(n));
    std::size_t begin = 0;
    for (std::size_t end; (end = rest_.find('\n', begin)) != std::string::npos; begin = end + 1) {
      line(std::string_view(rest_).substr(begin, end - begin));
    }
    rest_.erase(0, begin);
    if (rest_.size() > longest_line) {
      line(rest_);
      rest_.clear();
    }
  }
  return !done_;
}

std::string OutputLines::last_lines() const {
  const std::lock_guard lock(mutex_);
  std::string text;
  for (const std::string& one : last_) text += (text.empty() ? "" : "\n") + one;
  if (!rest_.empty()) text += (text.empty() ? "" : "\n") + rest_.substr(0, longest_kept);
  return text;
}

}  // namespace hoist::detail::workers
