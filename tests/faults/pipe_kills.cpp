// SPDX-License-Identifier: BSD-3-Clause
//
// Processes at the ends of pipes are killed, before each store to shared memory in turn and at
// random: the other end gets what was sent, then the end of the stream, and never waits for long.
#include <doctest/doctest.h>
#include <hoist/pipe.hpp>
#include <hoist/shared.hpp>

#include <optional>
#include <random>
#include <string>
#include <thread>

#include "support/child.hpp"
#include "support/extended.hpp"

using namespace hoist;
using namespace std::chrono_literals;

namespace {

const int rounds = support::extended ? 1000 : 50;

/// What comes until the stream ends; nothing if it does not.
template <class T>
std::optional<int> count_until_end(const Connection<T>& end) {
  for (int n = 0;; ++n) {
    try {
      end.recv(20s);
    } catch (const EndOfStream&) {
      return n;
    } catch (const Empty&) {
      return std::nullopt;
    }
  }
}

}  // namespace

TEST_CASE("whoever sends and closes is killed before each of its stores") {
  for (const std::size_t size : {10U, 300'000U}) {
    CAPTURE(size);
    bool right = true;
    int n = 0;
    for (int status = -SIGKILL; status == -SIGKILL; ++n) {
      auto [a, b] = Pipe<std::string>();
      support::Child child([&] {
        support::die_before_store(n);
        b.send(std::string(size, 's'));
        b.close();
      });
      b.close();
      const auto got = count_until_end(a);
      right = right && got && *got <= 1;
      status = child.wait_for(10s);
    }
    CHECK(right);
    CHECK(n > 10);
  }
}

TEST_CASE("whoever receives is killed before each of its stores") {
  bool right = true;
  for (int n = 0; n < 30; ++n) {
    auto [a, b] = Pipe<std::string>();
    a.send("one");
    support::Child child([&] {
      support::die_before_store(n);
      b.recv();
      b.recv();
    });
    b.close();
    try {
      // Its own end has no room for that: it waits until the other one reads or is no more.
      for (int i = 0; i < 1000; ++i) a.send(std::string(100'000, 'x'), 20s);
      right = false;
    } catch (const EndOfStream&) {
    } catch (const Full&) {
      right = false;
    }
    right = right && child.wait_for(10s) != support::Child::hangs;
  }
  CHECK(right);
}

TEST_CASE("partners in a dialogue are killed at random") {
  std::mt19937 random(3);
  const SharedValue<long> answers(0);
  for (int round = 0; round < rounds; ++round) {
    auto [a, b] = Pipe<std::string>();
    support::Child child([&] {
      for (;;) {
        b.send(b.recv());
        answers.fetch_add(1);
      }
    });
    b.close();
    std::jthread killer([&, delay = random() % 3000] {
      std::this_thread::sleep_for(std::chrono::microseconds(delay));
      child.kill();
    });
    const std::string text(random() % 100'000, 't');
    bool ended = false;
    try {
      for (;;) {
        a.send(text, 20s);
        if (a.recv(20s) != text) break;
      }
    } catch (const EndOfStream&) {
      ended = true;
    }
    CHECK(ended);
  }
  CHECK(answers.get() > 0);
}
