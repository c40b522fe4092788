// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <chrono>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <vector>

#include "os/fork_hook.hpp"
#include "redis/connection.hpp"
#include "redis/url.hpp"

namespace hoist::detail::redis {

/// The connections of this process to one server, which are used again. Thread-safe; a forked child
/// makes its own.
///
/// A server that doesn't answer isn't asked again for ten times as long as it was waited for, at
/// most 30 seconds: until then whoever needs a connection gets the same error at once.
class Server {
 public:
  explicit Server(const Url& url) : url_(url) {}
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  const Url& url() const { return url_; }

  /// A connection for the caller alone. Throws what Connection does.
  std::unique_ptr<Connection> take();
  /// Whether take() would throw an error that is known already.
  bool is_avoided();
  /// To be told of the TimedOut being handled, of what was begun then.
  void avoid(std::chrono::steady_clock::time_point since);

  /// Does `work` with a connection that nobody else uses meanwhile. Throws what that throws, and
  /// what Connection does.
  template <class Work>
  auto with(const Work& work) {
    const auto start = Clock::now();
    try {
      Lent lent(*this);
      return work(*lent.connection);
    } catch (const TimedOut&) {
      avoid(start);
      throw;
    }
  }

 private:
  using Clock = std::chrono::steady_clock;

  /// Returns its connection where that is in order.
  struct Lent {
    explicit Lent(Server& of) : server(of), connection(of.take()) {}
    Lent(const Lent&) = delete;
    Lent& operator=(const Lent&) = delete;
    ~Lent() { server.give_back(std::move(connection)); }

    Server& server;
    std::unique_ptr<Connection> connection;
  };

  void give_back(std::unique_ptr<Connection> connection);
  void forget();

  const Url url_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<Connection>> idle_;
  std::vector<std::unique_ptr<Connection>> inherited_;  // of no use
  Clock::time_point avoided_until_ = {};
  std::exception_ptr failure_;
  os::ForkHook fork_hook_{mutex_, [this] { forget(); }};
};

}  // namespace hoist::detail::redis
