// SPDX-License-Identifier: BSD-3-Clause
//
// The server of a manager is killed at random moments, and its port is attacked: whoever calls gets
// a result or ManagerDied, soon, and nothing is left over.
#include <doctest/doctest.h>
#include <hoist/listener.hpp>
#include <hoist/manager.hpp>
#include <hoist/process.hpp>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdint>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "support/child.hpp"
#include "support/extended.hpp"
#include "support/processes.hpp"

using namespace hoist;
using namespace std::chrono_literals;

namespace {

const int rounds = support::extended ? 1000 : 50;

/// A connection to a port of this machine that knows nothing of hoist.
class Stranger {
 public:
  explicit Stranger(const std::string& address)
      : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port =
        ::htons(static_cast<std::uint16_t>(std::stoi(address.substr(address.find(':') + 1))));
    to.sin_addr.s_addr = ::htonl(INADDR_LOOPBACK);
    connected_ = ::connect(socket_, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0;
  }
  Stranger(const Stranger&) = delete;
  Stranger& operator=(const Stranger&) = delete;
  ~Stranger() { ::close(socket_); }

  bool connected() const { return connected_; }
  void say(const std::string& text) const {
    static_cast<void>(::send(socket_, text.data(), text.size(), MSG_NOSIGNAL));
  }

 private:
  int socket_;
  bool connected_ = false;
};

}  // namespace

TEST_CASE("the server of a manager is killed at any moment") {
  std::mt19937 random(5);
  std::atomic<int> died{0};
  for (int round = 0; round < rounds; ++round) {
    Manager manager;
    const auto dict = manager.dict<int, std::string>();
    const auto list = manager.list<int>();
    {
      std::vector<std::jthread> callers;
      for (int t = 0; t < 2; ++t) {
        callers.emplace_back([&, t] {
          try {
            for (int i = 0;; ++i) {
              dict.set(i % 10, std::string(static_cast<std::size_t>(i % 5000), 'x'));
              list.append(t);
              if (i % 50 == 0) manager.value(i).set(i + 1);
            }
          } catch (const ManagerDied&) {
            ++died;
          }
        });
      }
      std::this_thread::sleep_for(std::chrono::microseconds(random() % 5000));
      ::kill(manager.pid(), SIGKILL);
    }
    CHECK_THROWS_AS(dict.size(), ManagerDied);
  }
  CHECK(died == 2 * rounds);
  CHECK(active_children().empty());
}

TEST_CASE("clients by address are killed at any moment, with a lock and an item in hand") {
  const std::string key = "a key for this test";
  const Manager manager({.address = "127.0.0.1:0", .authkey = key});
  const auto lock = manager.lock();
  const auto queue = manager.queue<int>();
  manager.names().set("lock", lock);
  manager.names().set("queue", queue);
  std::mt19937 random(7);
  int poisoned = 0;
  for (int round = 0; round < rounds; ++round) {
    support::Child client([&] {
      const Manager there = Manager::connect({.address = manager.address(), .authkey = key});
      const auto own = there.names().get<LockProxy<Lock>>("lock");
      const auto items = there.names().get<QueueProxy<int>>("queue");
      for (;;) {
        const std::scoped_lock held(own);
        items.put(1);
        if (items.get() != 1) throw 1;
      }
    });
    std::this_thread::sleep_for(std::chrono::milliseconds(random() % 100));
    client.kill();
    try {
      lock.lock();
    } catch (const OwnerDied&) {
      ++poisoned;
      CHECK(lock.recover());
    }
    // Its agent is no more, so this is all.
    CHECK(queue.size() <= 1);
    while (queue.try_get()) {
    }
    lock.unlock();
  }
  CHECK(poisoned > 0);
  const auto agents = [&] {
    return manager.value(0).call([](int&) { return support::child_processes(); });
  };
  // One look: that for a client which was killed as it came may be started yet, and then ends.
  auto left = agents();
  for (int i = 0; i < 1000 && left > 0; ++i) {
    std::this_thread::sleep_for(10ms);
    left = agents();
  }
  CHECK(left == 0);
}

TEST_CASE("garbage and silence at the port of a manager hold up nobody") {
  const std::string key = "a key for this test";
  const Manager manager({.address = "127.0.0.1:0", .authkey = key});
  std::vector<std::unique_ptr<Stranger>> strangers;
  for (int i = 0; i < 60; ++i) {
    strangers.push_back(std::make_unique<Stranger>(manager.address()));
    CHECK(strangers.back()->connected());
    if (i % 3 == 0) strangers.back()->say(std::string(100'000, static_cast<char>(i)));
    if (i % 3 == 1) strangers.back()->say("GET / HTTP/1.1\r\n\r\n");
  }
  support::Child client([&] {
    const Manager there = Manager::connect({.address = manager.address(), .authkey = key});
    if (there.value(5).get() != 5) throw 1;
  });
  CHECK(client.wait_for(30s) == 0);
  CHECK(manager.value(6).get() == 6);
}
