// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <exception>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <semaphore>
#include <span>
#include <string>
#include <vector>

#include "os/file.hpp"
#include "redis/connection.hpp"
#include "redis/host_keys.hpp"
#include "redis/url.hpp"
#include "remote/transport.hpp"

namespace hoist::detail::redis {

/// Messages between masters and worker hosts through lists of a Redis server, of which each side
/// has one. docs/formats/redis.md has the keys and what is in the lists.
///
/// Nothing is kept across a connection that breaks: all peers are lost then, and this side joins
/// again, under another name, as soon as the server is there. A thread sees to that, to the signs
/// of life, and to what comes while nobody polls.
class RedisTransport final : public remote::Transport {
 public:
  enum class Role : unsigned char { master, host };
  /// What somebody who looks after the hosts has for one of them, without joining.
  enum class Order : char { leave = 'l', end = 'e' };
  /// As an entry of its list.
  static std::string entry_of(Order order);

  /// Throws what Connection does. close() may be called by another thread.
  RedisTransport(const Url& url, Role role);
  RedisTransport(const RedisTransport&) = delete;
  RedisTransport& operator=(const RedisTransport&) = delete;
  ~RedisTransport() override;

  void send(remote::Peer to, std::vector<std::byte> message) override;
  std::size_t unsent(remote::Peer to) const override;
  bool poll(Events& events) override;
  void drop(remote::Peer peer) override;
  void close() override;
  void watch() override;
  std::chrono::microseconds poll_interval() const override;
  std::chrono::microseconds round_trip() const override { return std::chrono::microseconds(1000); }
  std::chrono::milliseconds patience() const override { return std::chrono::seconds(30); }
  bool is_complete() const override;
  void publish(const HostStatus& status) override;
  bool is_to_leave() const override;

 private:
  using Clock = std::chrono::steady_clock;
  /// Who isn't heard of for so long is lost; signs of life come four times in that time.
  static constexpr std::chrono::milliseconds silence = std::chrono::seconds(10);
  /// So often the server is asked whether the others are connected.
  static constexpr std::chrono::milliseconds between_looks{200};
  static constexpr int most_entries_at_once = 64;
  static constexpr std::size_t id_digits_of_side = 16;
  static constexpr std::size_t head_of_entry = id_digits_of_side + 8 + 1;
  enum class Kind : unsigned char { join, message, acknowledgement, beat, leave, order };

  /// Who this side is on the server, from a connect to the end of that connection.
  struct Link {
    explicit Link(const Url& url) : inbox(std::make_unique<Connection>(url)), server(url) {}
    std::string id;  // in all that is said to others
    std::unique_ptr<Connection> inbox;
    Connection server;
    std::size_t asked = 0;  // pops whose replies have not come
    struct Due {
      enum class What : unsigned char { push, expire, beat, look } what;
      remote::Peer peer = 0;
      std::size_t bytes = 0;
    };
    std::deque<Due> due;  // replies of `server`
    Clock::time_point due_since = {};
    Clock::time_point next_beat = {};
    Clock::time_point next_look = {};
    std::vector<remote::Peer> looked_for;  // while the reply has not come
  };

  struct Other {
    std::string id;
    std::string name = {};  // empty until it has joined
    std::string connection = {};
    std::uint64_t sent = 0;  // messages
    std::uint64_t received = 0;
    std::uint64_t bytes_sent = 0;
    std::uint64_t bytes_known = 0;  // of these, to have arrived
    std::uint64_t bytes_received = 0;
    std::uint64_t bytes_told = 0;  // of these, to the other side
    std::size_t unsent = 0;
    Clock::time_point heard = {};
  };

  struct Event {
    enum class What : unsigned char { joined, received, lost } what;
    remote::Peer peer;
    std::string text;
  };

  void connect();
  bool receive();
  bool receive_all();
  bool take_reply();
  bool take_replies();
  void take_entry(const std::string& entry);
  void take_order(std::string_view order);
  void take_members(const Reply& members);
  void take_clients(const std::string& clients);
  void tick(Clock::time_point now);
  void beat(Clock::time_point now);
  void ask_for_more();
  void put(Other& to, remote::Peer peer, Kind kind, std::span<const std::byte> content);
  Other& meet(const std::string& id, remote::Peer& peer);
  void lose(remote::Peer peer, const std::string& why, bool knows = false);
  void lose_silent(Clock::time_point now);
  void forget(remote::Peer peer, bool knows);
  void break_off(const std::string& why);
  /// Does something that needs the connection; what fails is the end of that.
  template <class Work>
  void guarded(const Work& work) {
    if (link_ == nullptr) return;
    try {
      work();
    } catch (const std::exception& error) {
      break_off(std::string("is out of reach: ") + error.what());
    }
  }
  void start_thread();
  void keep();
  bool is_active() const;
  void sleep(std::unique_lock<std::mutex>& lock);
  void tell_thread() const;

  const Url url_;
  const Role role_;
  const HostKeys keys_;

  mutable std::mutex mutex_;
  std::unique_ptr<Link> link_;  // null while there is no connection
  std::map<remote::Peer, Other> others_;
  std::map<std::string, remote::Peer> peers_;  // by id
  std::map<std::string, bool> dropped_;        // by id: whether they may think that we still listen
  std::deque<Event> events_;
  remote::Peer last_peer_ = 0;
  bool is_to_leave_ = false;
  std::string reported_;  // why there is no connection
  bool started_ = false;  // the thread
  bool stops_ = false;
  Clock::time_point active_ = {};
  bool is_watched_ = false;           // by the thread: who polls sleeps
  const os::Fd news_;                 // for the thread
  std::binary_semaphore stopped_{0};  // the thread
};

}  // namespace hoist::detail::redis
