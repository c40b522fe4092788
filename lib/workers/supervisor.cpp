// SPDX-License-Identifier: BSD-3-Clause
#include "workers/supervisor.hpp"

#include <hoist/error.hpp>

#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <vector>

#include "os/fork_hook.hpp"
#include "os/thread_pool.hpp"

namespace hoist::detail::workers {

namespace {

/// A forked child has neither the thread nor the workers; it may start its own.
constinit os::PerProcess<Supervisor> supervisor_of_process;

constexpr std::uint64_t wakeup_id = 0;
/// What a worker may take to leave at the program's end.
constexpr auto patience = std::chrono::seconds(2);

bool waits_for_reader(LocalWorker& worker) {
  return worker.output().at_limit() || worker.errors().at_limit();
}

}  // namespace

Supervisor& Supervisor::here() {
  return supervisor_of_process.here([] { return new Supervisor; });
}

Supervisor::Supervisor()
    : epoll_(::epoll_create1(EPOLL_CLOEXEC)), wakeup_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (!epoll_ || !wakeup_) throw SystemError("can't watch worker processes", errno);
  watch(wakeup_.get(), wakeup_id, EPOLLIN);
  // Not in the way of backend fork: a child starts afresh.
  os::ThreadPool::start_beside("hoist-workers", [this] { run(); });
}

void Supervisor::watch(int fd, std::uint64_t id, unsigned events) {
  epoll_event event{};
  event.events = events;
  event.data.u64 = id;
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) {
    throw SystemError("can't watch a worker process", errno);
  }
}

void Supervisor::add(const std::shared_ptr<LocalWorker>& worker) {
  const std::lock_guard lock(mutex_);
  const std::uint64_t id = next_++;
  workers_[id] = worker;
  watch(worker->pidfd(), id, EPOLLIN);
  watch(worker->output().fd(), id, EPOLLIN | EPOLLET);
  watch(worker->errors().fd(), id, EPOLLIN | EPOLLET);
}

void Supervisor::interrupt() {
  const std::uint64_t one = 1;
  static_cast<void>(::write(wakeup_.get(), &one, sizeof one));
}

void Supervisor::look_at(ipc::Clock::time_point when) {
  {
    const std::lock_guard lock(mutex_);
    if (next_look_ <= when) return;
    next_look_ = when;
  }
  interrupt();
}

void Supervisor::set_idle_check(ipc::Clock::time_point (*check)()) {
  const std::lock_guard lock(mutex_);
  idle_check_ = check;
}

void Supervisor::run() {
  for (;;) {
    int timeout = -1;
    ipc::Clock::time_point (*check)() = nullptr;
    {
      const std::lock_guard lock(mutex_);
      if (next_look_ != ipc::Clock::time_point::max()) {
        const auto left = next_look_ - ipc::Clock::now();
        if (left <= ipc::Clock::duration::zero()) {
          check = idle_check_;
          next_look_ = ipc::Clock::time_point::max();
        } else {
          timeout = static_cast<int>(std::min<long long>(
              std::chrono::ceil<std::chrono::milliseconds>(left).count(), 3600 * 1000));
        }
      }
    }
    if (check != nullptr) {
      const auto next = check();
      const std::lock_guard lock(mutex_);
      next_look_ = std::min(next_look_, next);
      continue;
    }
    std::array<epoll_event, 64> events;
    const int n =
        ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), timeout);
    for (int i = 0; i < n; ++i) {
      const std::uint64_t id = events[static_cast<std::size_t>(i)].data.u64;
      if (id == wakeup_id) {
        std::uint64_t count = 0;
        static_cast<void>(::read(wakeup_.get(), &count, sizeof count));
        continue;
      }
      std::shared_ptr<LocalWorker> worker;
      {
        const std::lock_guard lock(mutex_);
        if (const auto at = workers_.find(id); at != workers_.end()) worker = at->second;
      }
      if (worker != nullptr && worker->watch()) {
        const std::lock_guard lock(mutex_);
        if (workers_.erase(id) > 0) {
          for (int fd : {worker->pidfd(), worker->output().fd(), worker->errors().fd()}) {
            ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
          }
        }
      }
    }
  }
}

void Supervisor::end_all() {
  std::vector<std::shared_ptr<LocalWorker>> left;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, worker] : workers_) left.push_back(worker);
  }
  auto deadline = ipc::Clock::now() + patience;
  for (const auto& worker : left) {
    while (!worker->watch()) {
      const auto now = ipc::Clock::now();
      if (worker->asked_to_leave() && waits_for_reader(*worker)) deadline = now + patience;
      if (now >= deadline) worker->kill();
      pollfd end{worker->pidfd(), POLLIN, 0};
      ::poll(&end, 1, 100);
    }
  }
  OutputWriter::flush_all(ipc::Clock::time_point::max());
}

}  // namespace hoist::detail::workers
