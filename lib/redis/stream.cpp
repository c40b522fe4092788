// SPDX-License-Identifier: BSD-3-Clause
#include "redis/stream.hpp"

#include <hoist/detail/deadline.hpp>
#include <hoist/error.hpp>

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <climits>
#include <mutex>
#include <span>
#include <string>
#include <utility>

#include "os/fork_hook.hpp"
#include "os/socket.hpp"
#include "redis/is_gone.hpp"
#include "redis/tls.hpp"

namespace hoist::detail::redis {

namespace {

/// The descriptors of all connections of this process.
class OpenSockets {
 public:
  static OpenSockets& all() {
    static auto* one = new OpenSockets;  // connections are open while the process ends, too
    return *one;
  }

  void add(int fd) {
    const std::lock_guard lock(mutex_);
    fds_.push_back(fd);
  }
  void close(os::Fd fd) {
    const std::lock_guard lock(mutex_);
    std::erase(fds_, fd.get());
    fd.reset();
  }

 private:
  void close_all() {
    for (const int fd : fds_) ::close(fd);
    fds_.clear();
  }

  std::mutex mutex_;
  std::vector<int> fds_;
  os::ForkHook fork_hook_{mutex_, [this] { close_all(); }};
};

/// Drops the first bytes of the parts.
std::span<iovec> behind(std::span<iovec> parts, std::size_t bytes) {
  while (!parts.empty() && bytes >= parts.front().iov_len) {
    bytes -= parts.front().iov_len;
    parts = parts.subspan(1);
  }
  if (bytes > 0) {
    parts.front().iov_base = static_cast<std::byte*>(parts.front().iov_base) + bytes;
    parts.front().iov_len -= bytes;
  }
  return parts;
}

/// From now on reads and writes wait, but not longer than that for one byte.
void set_time_limits(int fd, std::chrono::milliseconds time) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(time);
  const timeval limit{seconds.count(), std::chrono::microseconds(time - seconds).count()};
  ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  ::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) & ~O_NONBLOCK);
}

[[noreturn]] void throw_failed(const char* what) {
  if (os::has_no_room(errno)) throw TimedOut("the Redis server has been silent for too long");
  throw SystemError(std::string("can't ") + what + " the Redis server", errno);
}

constexpr std::size_t read_ahead = std::size_t{16} << 10;

}  // namespace

Stream::Stream(const Url& url)
    : PeekableSource(read_ahead),
      process_(os::own_process()),
      fd_(sockets::connect_once(url.address, deadline_after(url.timeout))) {
  OpenSockets::all().add(fd_.get());
  try {
    if (!url.address.is_path()) sockets::prepare_connection(fd_.get());
    set_time_limits(fd_.get(), url.timeout);
    if (url.tls) tls_ = std::make_unique<Tls>(fd_.get(), url);
  } catch (...) {
    OpenSockets::all().close(std::move(fd_));
    throw;
  }
}

Stream::~Stream() {
  tls_.reset();
  if (is_inherited()) {
    // It has been closed; the number may be another file's by now.
    [[maybe_unused]] const int not_ours = fd_.release();
  } else {
    OpenSockets::all().close(std::move(fd_));
  }
}

void Stream::check_process() const {
  if (is_inherited()) throw EndOfStream("a connection belongs to the parent process");
}

std::size_t Stream::fetch(std::byte* to, std::size_t n) {
  check_process();
  if (tls_ != nullptr) return tls_->read({to, n});
  const ssize_t got = repeated(fd_.get(), SO_RCVTIMEO, [&] { return ::recv(fd_.get(), to, n, 0); });
  if (got < 0 && !is_gone(errno)) throw_failed("read from");
  return static_cast<std::size_t>(std::max<ssize_t>(got, 0));
}

void Stream::write(std::vector<iovec> parts) {
  check_process();
  for (std::span<iovec> left = behind(parts, 0); !left.empty();) {
    ssize_t written = 0;
    if (tls_ != nullptr) {
      const iovec& first = left.front();
      written = static_cast<ssize_t>(
          tls_->write({static_cast<const std::byte*>(first.iov_base), first.iov_len}));
    } else {
      msghdr head{};
      head.msg_iov = left.data();
      head.msg_iovlen = std::min<std::size_t>(left.size(), IOV_MAX);
      written = repeated(fd_.get(), SO_SNDTIMEO,
                         [&] { return ::sendmsg(fd_.get(), &head, MSG_NOSIGNAL); });
      if (written < 0 && !is_gone(errno)) throw_failed("write to");
    }
    if (written <= 0) throw EndOfStream("the Redis server has closed the connection");
    left = behind(left, static_cast<std::size_t>(written));
  }
}

bool Stream::is_quiet() const {
  if (is_inherited() || buffered() != 0 || (tls_ != nullptr && tls_->has_more())) return false;
  return !os::is_ready(fd_.get(), POLLIN | POLLRDHUP);
}

}  // namespace hoist::detail::redis
