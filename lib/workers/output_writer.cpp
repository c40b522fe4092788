// SPDX-License-Identifier: BSD-3-Clause
#include "workers/output_writer.hpp"

#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <string_view>
#include <utility>

#include "os/fork_hook.hpp"
#include "os/thread_pool.hpp"

namespace hoist::detail::workers {

namespace {

constinit os::PerProcess<OutputWriter> stdout_writer;
constinit os::PerProcess<OutputWriter> stderr_writer;

void write_out(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = ::write(fd, text.data(), text.size());
    if (n >= 0) {
      text.remove_prefix(static_cast<std::size_t>(n));
    } else if (errno == EAGAIN) {
      // Somebody has made the description non-blocking, which other processes may share.
      pollfd writable{fd, POLLOUT, 0};
      ::poll(&writable, 1, -1);
    } else if (errno != EINTR) {
      return;  // it can't be written (a closed pipe, a full disk): dropped
    }
  }
}

/// Waits until `ready` holds; time_point::max() is no deadline.
template <class Ready>
void wait_until(std::condition_variable& changed, std::unique_lock<std::mutex>& lock,
                ipc::Clock::time_point deadline, const Ready& ready) {
  if (deadline == ipc::Clock::time_point::max()) {
    changed.wait(lock, ready);
  } else {
    changed.wait_until(lock, deadline, ready);
  }
}

}  // namespace

OutputWriter& OutputWriter::of(int fd) {
  auto& writer = fd == STDERR_FILENO ? stderr_writer : stdout_writer;
  return writer.here([fd] { return new OutputWriter(fd); });
}

OutputWriter::OutputWriter(int fd) : fd_(fd) {
  // A forked child has the registration, too, but only writers of its own.
  static const int registered = std::atexit([] { flush_all(ipc::Clock::time_point::max()); });
  static_cast<void>(registered);
  os::ThreadPool::start_beside("hoist-output", [this] { run(); });
}

void OutputWriter::put(std::string lines, std::function<void()> written) {
  {
    const std::lock_guard lock(mutex_);
    queue_.push_back({std::move(lines), std::move(written)});
    ++put_;
  }
  changed_.notify_all();
}

void OutputWriter::flush(ipc::Clock::time_point deadline) {
  std::unique_lock lock(mutex_);
  wait_until(changed_, lock, deadline, [this, until = put_] { return written_ >= until; });
}

void OutputWriter::flush_all(ipc::Clock::time_point deadline) {
  for (OutputWriter* const writer : {stdout_writer.find(), stderr_writer.find()}) {
    if (writer != nullptr) writer->flush(deadline);
  }
}

void OutputWriter::run() {
  for (;;) {
    Item item;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return !queue_.empty(); });
      item = std::move(queue_.front());
      queue_.pop_front();
    }
    write_out(fd_, item.lines);
    item.written();
    {
      const std::lock_guard lock(mutex_);
      ++written_;
    }
    changed_.notify_all();
  }
}

}  // namespace hoist::detail::workers
