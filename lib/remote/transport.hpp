// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace hoist::detail::remote {

/// The other end of a connection, as one end's transport calls it: for the master a worker host,
/// for a worker host a master. Numbers of peers that are lost are not used again.
using Peer = std::uint64_t;

/// Messages are at most so long.
inline constexpr std::size_t max_message = std::size_t{4} << 20;

/// Carries messages between masters and worker hosts, and knows nothing of what is in them. Between
/// two peers they arrive complete, once, and in order; whatever can't be kept so is the loss of the
/// peer, which may join again as another.
///
/// Used by one thread at a time. No function but close() waits.
class Transport {
 public:
  /// What a worker host says of itself to people.
  struct HostStatus {
    unsigned slots = 0;
    unsigned cores = 0;
    std::size_t workers = 0;  ///< processes that there are
    std::size_t masters = 0;
    std::uint64_t tasks = 0;  ///< that were begun since the host was started
    double tasks_per_second = 0;
    std::chrono::seconds age{0};
    bool is_leaving = false;
  };

  /// What poll() tells. The functions may call send() and drop().
  class Events {
   public:
    /// `name` is for messages to the user: a host, and what tells two on it apart.
    virtual void joined(Peer peer, const std::string& name) = 0;
    virtual void received(Peer peer, std::span<const std::byte> message) = 0;
    /// After this nothing comes from the peer. `why` completes "node3 (rank 2) ...".
    virtual void lost(Peer peer, const std::string& why) = 0;

   protected:
    ~Events() = default;
  };

  virtual ~Transport() = default;

  /// Takes a message over. Those to a peer that is lost are dropped.
  virtual void send(Peer to, std::vector<std::byte> message) = 0;
  /// The bytes of messages to the peer that still take memory here. Who has more to send waits
  /// while these are many.
  virtual std::size_t unsent(Peer to) const = 0;
  /// Moves along what can be moved. Returns whether anything happened.
  virtual bool poll(Events& events) = 0;
  /// Gives the peer up: it is not heard of again, but still gets what was sent before.
  virtual void drop(Peer peer) = 0;
  /// Ends all connections in order: peers get what was sent, and then lose this end. Returns within
  /// seconds.
  virtual void close() = 0;

  /// Called before who polls sleeps with nothing to end that but `wake`: for transports that wait
  /// for what comes only then.
  virtual void watch() {}
  /// How soon poll() wants to be called again, or `never` if `wake` tells: for libraries that have
  /// to be asked.
  virtual std::chrono::microseconds poll_interval() const { return never; }
  static constexpr std::chrono::microseconds never = std::chrono::microseconds::max();
  /// About how long an answer takes: so much work a worker may have ahead, beside what it runs.
  virtual std::chrono::microseconds round_trip() const = 0;
  /// How long all peers may be away before there are none, where others may come in their place.
  virtual std::chrono::milliseconds patience() const { return {}; }
  /// Why no peers will come any more, where that is known.
  virtual std::string why_none() const { return {}; }
  /// How long a loop waits until is_complete(), and those that have joined have introduced
  /// themselves, which they do at once.
  virtual std::chrono::milliseconds arrival_patience() const { return std::chrono::seconds(10); }
  /// Whether those peers have joined that are there from the beginning.
  virtual bool is_complete() const { return true; }
  /// Makes known what somebody may ask for who looks after the hosts. Called by a host once a
  /// second, by the thread that polls.
  virtual void publish(const HostStatus&) {}
  /// Whether somebody has asked this host to leave once its tasks are done.
  virtual bool is_to_leave() const { return false; }
  /// Called, by any thread of the transport, when poll() has got something to do. Set once, before
  /// who is to poll sleeps; it rings the bells that those sleep on, until wakes() changes.
  void set_wake(std::function<void()> ring) {
    ring_ = std::move(ring);
    rings_.store(true, std::memory_order_release);
  }
  /// To be read before poll(). Thread-safe.
  std::uint32_t wakes() const { return wakes_.load(std::memory_order_acquire); }
  /// Has who sleeps poll, also for what was put into an outbox meanwhile. Thread-safe.
  void wake() {
    wakes_.fetch_add(1, std::memory_order_release);
    if (rings_.load(std::memory_order_acquire)) ring_();
  }

 private:
  std::atomic<std::uint32_t> wakes_{0};
  std::function<void()> ring_;  // written before `rings_` is set, and not afterwards
  std::atomic<bool> rings_{false};
};

/// When who has waited from `since` to `now` polls next: sooner at first, as answers come in a row.
inline std::chrono::steady_clock::time_point next_poll(const Transport& transport,
                                                       std::chrono::steady_clock::time_point since,
                                                       std::chrono::steady_clock::time_point now) {
  const auto interval = transport.poll_interval();
  if (interval == Transport::never) return std::chrono::steady_clock::time_point::max();
  constexpr std::chrono::microseconds longest{1000};
  const auto waited = std::chrono::duration_cast<std::chrono::microseconds>(now - since);
  return now + std::clamp(waited / 16, interval, std::max(interval, longest));
}

}  // namespace hoist::detail::remote
