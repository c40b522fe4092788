// SPDX-License-Identifier: BSD-3-Clause
//
// What a side does beside carrying messages: how it describes itself, orders, its thread, and its
// end.

#include <hoist/error.hpp>

#include <poll.h>
#include <unistd.h>

#include <csignal>
#include <cstdint>
#include <mutex>
#include <string_view>
#include <utility>

#include "os/log.hpp"
#include "os/machine_name.hpp"
#include "os/thread_pool.hpp"
#include "redis/transport.hpp"

namespace hoist::detail::redis {

namespace {

/// A look at a socket takes about a microsecond.
constexpr auto busy_interval = std::chrono::microseconds(20);
constexpr auto active_time = std::chrono::milliseconds(2);

}  // namespace

std::string RedisTransport::entry_of(Order order) {
  std::string entry(head_of_entry, '\0');
  entry.back() = static_cast<char>(Kind::order);
  return entry + static_cast<char>(order);
}

/// An order is nobody's, so it has no number. A master takes none.
void RedisTransport::take_order(std::string_view order) {
  if (role_ != Role::host || order.size() != 1) return;
  is_to_leave_ = is_to_leave_ || order.front() == static_cast<char>(Order::leave);
  if (order.front() == static_cast<char>(Order::end)) ::kill(::getpid(), SIGTERM);
}

bool RedisTransport::is_to_leave() const {
  const std::lock_guard lock(mutex_);
  return is_to_leave_;
}

void RedisTransport::publish(const HostStatus& status) {
  const std::lock_guard lock(mutex_);
  guarded([&] {
    const std::string text = status_text({.machine = os::machine_name(),
                                          .pid = ::getpid(),
                                          .slots = status.slots,
                                          .cores = status.cores,
                                          .workers = status.workers,
                                          .programs = status.masters,
                                          .tasks = status.tasks,
                                          .tasks_per_second = status.tasks_per_second,
                                          .age = status.age,
                                          .is_leaving = status.is_leaving});
    Request request;
    request.add({"SET", keys_.status(link_->id), text, "PX", std::to_string(silence.count())});
    if (link_->due.empty()) link_->due_since = Clock::now();
    link_->due.push_back({Link::Due::What::expire});
    link_->server.send(request);
  });
}

void RedisTransport::start_thread() {
  if (started_ || stops_) return;
  os::ThreadPool::start_beside("hoist-redis", [this] {
    keep();
    stopped_.release();
  });
  started_ = true;
}

/// What has to be done while nobody polls.
void RedisTransport::keep() {
  std::unique_lock lock(mutex_);
  while (!stops_) {
    bool any = false;
    guarded([&] {
      any = receive_all();
      any = take_replies() || any;
      tick(Clock::now());
    });
    if (any || !events_.empty()) {
      is_watched_ = false;
      wake();
    }
    if (link_ == nullptr) {
      lock.unlock();
      try {
        connect();
      } catch (const std::exception& error) {
        if (std::exchange(reported_, error.what()) != error.what()) {
          os::log(LogLevel::warning, "workers",
                  std::string("this process waits for its Redis server: ") + error.what());
        }
      }
      lock.lock();
    }
    if (!stops_) sleep(lock);
  }
}

/// Until there is something to do: also when something comes, while who polls sleeps.
void RedisTransport::sleep(std::unique_lock<std::mutex>& lock) {
  pollfd fds[3] = {{news_.get(), POLLIN, 0}, {-1, POLLIN, 0}, {-1, POLLIN, 0}};
  if (is_watched_ && link_ != nullptr) {
    // What has been read from the socket already would not be seen.
    if (link_->inbox->has_input() || link_->server.has_input()) return;
    fds[1].fd = link_->inbox->fd();
    fds[2].fd = link_->server.fd();
  }
  lock.unlock();
  ::poll(fds, 3, static_cast<int>(between_looks.count()));
  std::uint64_t told = 0;
  static_cast<void>(::read(news_.get(), &told, sizeof told));
  lock.lock();
}

/// Whether an answer may be near: who polls is faster than a thread that would have to wake him.
bool RedisTransport::is_active() const { return Clock::now() - active_ < active_time; }

std::chrono::microseconds RedisTransport::poll_interval() const {
  const std::lock_guard lock(mutex_);
  return is_active() ? busy_interval : never;
}

void RedisTransport::tell_thread() const {
  const std::uint64_t one = 1;
  static_cast<void>(::write(news_.get(), &one, sizeof one));
}

void RedisTransport::watch() {
  const std::lock_guard lock(mutex_);
  if (!std::exchange(is_watched_, true)) tell_thread();
}

void RedisTransport::close() {
  std::unique_lock lock(mutex_);
  if (std::exchange(stops_, true)) return;
  tell_thread();
  lock.unlock();
  if (started_) stopped_.acquire();
  lock.lock();
  guarded([&] {
    for (auto& [peer, other] : others_) put(other, peer, Kind::leave, {});
    const bool is_master = role_ == Role::master;
    Request request;
    request.add({"ZREM", is_master ? keys_.masters() : keys_.hosts(),
                 link_->id + ":" + std::to_string(link_->server.id())});
    link_->inbox.reset();
    request.add({"DEL", keys_.inbox(link_->id), keys_.status(link_->id)});
    link_->server.send(request);
    while (link_->server.is_due()) link_->server.receive();
  });
  link_.reset();
  others_.clear();
  peers_.clear();
}

}  // namespace hoist::detail::redis
