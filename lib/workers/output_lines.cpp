// SPDX-License-Identifier: BSD-3-Clause
#include "workers/output_lines.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <utility>

namespace hoist::detail::workers {

namespace {

constexpr std::size_t kept_lines = 10;
constexpr std::size_t longest_kept = 1000;
/// Longer lines are passed on in pieces, so that output without line ends can't fill the memory.
constexpr std::size_t longest_line = 64 * 1024;
/// So much of one worker's output may wait to be written: four times what its pipe holds.
constexpr std::size_t most_unwritten = 256 * 1024;
/// So much is read before others get their turn.
constexpr std::size_t most_at_once = 64 * 1024;

}  // namespace

void OutputLines::line(std::string_view text) {
  // Up to PIPE_BUF bytes are written in one piece, whoever else writes there.
  if (lines_.size() + prefix_.size() + text.size() + 1 > PIPE_BUF) put_lines();
  lines_.append(prefix_).append(text).append("\n");
  if (last_.size() == kept_lines) last_.pop_front();
  last_.emplace_back(text.substr(0, longest_kept));
}

void OutputLines::put_lines() {
  if (lines_.empty()) return;
  const std::size_t bytes = lines_.size();
  unwritten_ += bytes;
  auto written = [self = shared_from_this(), bytes] { self->written(bytes); };
  if (put_) return put_(std::exchange(lines_, {}), std::move(written));
  OutputWriter::of(to_).put(std::exchange(lines_, {}), std::move(written));
}

void OutputLines::written(std::size_t bytes) {
  const std::lock_guard lock(mutex_);
  unwritten_ -= bytes;
  if (at_limit_) take_locked();
  changed_.notify_all();
}

/// Returns how many bytes it read: 0 where there are none, or will be none.
std::size_t OutputLines::read_some() {
  char buffer[8192];
  ssize_t n = 0;
  do {
    n = ::read(from_.get(), buffer, sizeof buffer);
  } while (n < 0 && errno == EINTR);
  if (n < 0 && errno == EAGAIN) return 0;
  if (n <= 0) {
    ended_ = true;
    if (!rest_.empty()) line(rest_);
    rest_.clear();
    put_lines();
    return 0;
  }
  const auto got = static_cast<std::size_t>(n);
  read_ += got;
  rest_.append(buffer, got);
  std::size_t begin = 0;
  for (std::size_t end; (end = rest_.find('\n', begin)) != std::string::npos; begin = end + 1) {
    line(std::string_view(rest_).substr(begin, end - begin));
  }
  rest_.erase(0, begin);
  if (rest_.size() > longest_line) {
    line(rest_);
    rest_.clear();
  }
  put_lines();
  return got;
}

void OutputLines::take_locked() {
  at_limit_ = false;
  for (std::size_t taken = 0; !ended_;) {
    // The limit needs unwritten lines, or nobody would read on.
    if (unwritten_ >= most_unwritten || (taken >= most_at_once && unwritten_ > 0)) {
      at_limit_ = true;
      return;
    }
    const std::size_t n = read_some();
    if (n == 0) return;
    taken += n;
  }
}

void OutputLines::take() {
  const std::lock_guard lock(mutex_);
  take_locked();
}

void OutputLines::take_all(ipc::Clock::time_point deadline) {
  std::unique_lock lock(mutex_);
  take_locked();
  if (!at_limit_) return;
  int there = 0;
  ::ioctl(from_.get(), FIONREAD, &there);
  const std::uint64_t goal = read_ + static_cast<std::uint64_t>(there);
  const auto done = [&] { return !at_limit_ || read_ >= goal; };
  if (deadline == ipc::Clock::time_point::max()) {
    changed_.wait(lock, done);
  } else {
    changed_.wait_until(lock, deadline, done);
  }
}

void OutputLines::take_rest() {
  const std::lock_guard lock(mutex_);
  at_limit_ = false;
  // No more than is there now: a process that the worker left behind may print for ever.
  int there = 0;
  ::ioctl(from_.get(), FIONREAD, &there);
  const std::uint64_t goal = read_ + static_cast<std::uint64_t>(there);
  while (!ended_ && read_ < goal && read_some() > 0) {
  }
  if (std::exchange(ended_, true)) return;
  if (!rest_.empty()) line(rest_);
  rest_.clear();
  put_lines();
}

int OutputLines::watched_fd() const {
  const std::lock_guard lock(mutex_);
  return at_limit_ || ended_ ? -1 : from_.get();
}

bool OutputLines::at_limit() const {
  const std::lock_guard lock(mutex_);
  return at_limit_;
}

std::string OutputLines::last_lines() const {
  const std::lock_guard lock(mutex_);
  std::string text;
  for (const std::string& one : last_) text += (text.empty() ? "" : "\n") + one;
  if (!rest_.empty()) text += (text.empty() ? "" : "\n") + rest_.substr(0, longest_kept);
  return text;
}

}  // namespace hoist::detail::workers
