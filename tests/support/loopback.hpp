// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "remote/remote_backend.hpp"
#include "remote/transport.hpp"
#include "remote/worker_host.hpp"

namespace support {

namespace remote = hoist::detail::remote;

/// Both ends of transports within one process.
class Exchange {
 public:
  struct Event {
    enum Kind { joined, message, lost } kind = message;
    remote::Peer peer = 0;
    std::vector<std::byte> bytes = {};
    std::string text = {};
  };

  void put(int end, Event event) {
    const std::lock_guard lock(mutex_);
    if (end != 0) to_hosts_ += event.bytes.size();
    queues_[end].push_back(std::move(event));
  }
  std::deque<Event> take(int end) {
    const std::lock_guard lock(mutex_);
    return std::exchange(queues_[end], {});
  }
  std::size_t bytes_to_hosts() {
    const std::lock_guard lock(mutex_);
    return to_hosts_;
  }
  void tell_to_leave(int end) {
    const std::lock_guard lock(mutex_);
    leaving_.insert(end);
  }
  bool is_to_leave(int end) {
    const std::lock_guard lock(mutex_);
    return leaving_.contains(end);
  }

 private:
  std::mutex mutex_;
  std::map<int, std::deque<Event>> queues_;
  std::set<int> leaving_;
  std::size_t to_hosts_ = 0;
};

/// End 0 is the master's, the others' are those of hosts.
class Loopback : public remote::Transport {
 public:
  Loopback(std::shared_ptr<Exchange> exchange, int end)
      : exchange_(std::move(exchange)), end_(end) {}

  void send(remote::Peer to, std::vector<std::byte> message) override {
    exchange_->put(static_cast<int>(to), {.peer = peer(), .bytes = std::move(message)});
  }
  std::size_t unsent(remote::Peer) const override { return 0; }
  bool poll(Events& events) override {
    bool any = false;
    for (const auto& event : exchange_->take(end_)) {
      any = true;
      if (event.kind == Exchange::Event::joined) events.joined(event.peer, event.text);
      if (event.kind == Exchange::Event::message) events.received(event.peer, event.bytes);
      if (event.kind == Exchange::Event::lost) events.lost(event.peer, event.text);
    }
    return any;
  }
  void drop(remote::Peer to) override {
    exchange_->put(static_cast<int>(to),
                   {.kind = Exchange::Event::lost, .peer = peer(), .text = "has gone"});
  }
  void close() override {}
  bool is_to_leave() const override { return exchange_->is_to_leave(end_); }
  std::chrono::microseconds poll_interval() const override { return std::chrono::microseconds(50); }
  std::chrono::microseconds round_trip() const override { return std::chrono::microseconds(500); }

 private:
  remote::Peer peer() const { return static_cast<remote::Peer>(end_); }

  std::shared_ptr<Exchange> exchange_;
  const int end_;
};

/// Worker hosts in threads of this process, and their master.
class LoopbackHosts {
 public:
  explicit LoopbackHosts(int hosts, unsigned slots = 1)
      : hosts_("loopback", std::make_unique<Loopback>(exchange_, 0)) {
    for (int host = 1; host <= hosts; ++host) add(slots);
  }
  ~LoopbackHosts() {
    hosts_.end();
    for (std::size_t i = 0; i < threads_.size(); ++i) {
      lose(static_cast<int>(i) + 1);
      tell_to_leave(static_cast<int>(i) + 1);
    }
    for (auto& thread : threads_) thread.join();
  }

  /// One more joins, which leaves when it is told to: once its workers have run what they have.
  void add_that_leaves(unsigned slots) { add(slots, &remote::WorkerHost::run_until_told); }
  void tell_to_leave(int host) { exchange_->tell_to_leave(host); }
  /// One more joins, for as long as its master is there.
  void add(unsigned slots = 1, void (remote::WorkerHost::*run)() = &remote::WorkerHost::run) {
    const int host = static_cast<int>(threads_.size()) + 1;
    const auto peer = static_cast<remote::Peer>(host);
    exchange_->put(host, {.kind = Exchange::Event::joined, .peer = 0, .text = "master"});
    exchange_->put(
        0, {.kind = Exchange::Event::joined, .peer = peer, .text = "host" + std::to_string(host)});
    threads_.emplace_back([this, host, slots, run] {
      Loopback transport(exchange_, host);
      remote::WorkerHost serving(transport, {.slots = slots, .cores = 1});
      (serving.*run)();
    });
  }

  remote::Hosts& hosts() { return hosts_; }
  Exchange& exchange() { return *exchange_; }
  /// To both, as if the other had vanished.
  void lose(int host) {
    exchange_->put(0, {.kind = Exchange::Event::lost,
                       .peer = static_cast<remote::Peer>(host),
                       .text = "has vanished"});
    exchange_->put(host, {.kind = Exchange::Event::lost, .peer = 0, .text = "has vanished"});
  }

 private:
  std::shared_ptr<Exchange> exchange_ = std::make_shared<Exchange>();
  remote::Hosts hosts_;
  std::vector<std::thread> threads_;
};

}  // namespace support
