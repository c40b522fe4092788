// SPDX-License-Identifier: BSD-3-Clause
#include "redis/server.hpp"

#include <hoist/error.hpp>

#include <algorithm>
#include <iterator>
#include <utility>

namespace hoist::detail::redis {

namespace {

constexpr std::size_t max_idle = 16;
constexpr auto longest_pause = std::chrono::seconds(30);

}  // namespace

std::unique_ptr<Connection> Server::take() {
  std::vector<std::unique_ptr<Connection>> dead;  // closed without the lock
  {
    const std::lock_guard lock(mutex_);
    // Before the idle ones are looked at: each of them would be waited for anew.
    if (Clock::now() < avoided_until_) std::rethrow_exception(failure_);
    while (!idle_.empty()) {
      auto connection = std::move(idle_.back());
      idle_.pop_back();
      if (connection->is_reusable()) return connection;
      dead.push_back(std::move(connection));
    }
  }
  const auto start = Clock::now();
  try {
    return std::make_unique<Connection>(url_);
  } catch (...) {
    avoid(start);
    throw;
  }
}

void Server::give_back(std::unique_ptr<Connection> connection) {
  if (!connection->is_reusable()) return;
  const std::lock_guard lock(mutex_);
  if (idle_.size() < max_idle) idle_.push_back(std::move(connection));
}

bool Server::is_avoided() {
  const std::lock_guard lock(mutex_);
  return Clock::now() < avoided_until_;
}

void Server::avoid(Clock::time_point since) {
  const auto now = Clock::now();
  const std::lock_guard lock(mutex_);
  failure_ = std::current_exception();
  // What is thrown at once, since the server is avoided already, doesn't end that.
  avoided_until_ =
      std::max(avoided_until_, now + std::min<Clock::duration>(10 * (now - since), longest_pause));
}

/// In a forked child. Destroys nothing yet, as other hooks may still be due.
void Server::forget() {
  std::ranges::move(idle_, std::back_inserter(inherited_));
  idle_.clear();
}

}  // namespace hoist::detail::redis
