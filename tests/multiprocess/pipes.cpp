// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>
#include <hoist/array.hpp>
#include <hoist/parallel.hpp>
#include <hoist/pipe.hpp>
#include <hoist/queue.hpp>
#include <hoist/sync.hpp>

#include <fcntl.h>
#include <poll.h>

#include <algorithm>
#include <map>
#include <memory>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include "support/child.hpp"

using namespace hoist;
using namespace std::chrono_literals;

namespace {

using Point = std::map<std::string, double>;

int echo(const Connection<int>& connection, int times) {
  for (int i = 0; i < times; ++i) connection.send(connection.recv(20s) + 1);
  return times;
}

std::span<const std::byte> as_bytes(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

}  // namespace

TEST_CASE("messages go through a pipe both ways") {
  auto [a, b] = Pipe<Point>();
  support::Child child([&, end = b] {
    for (;;) {
      Point point = end.recv();
      if (point.empty()) return;
      point["x"] += 1;
      end.send(point);
    }
  });
  for (int i = 0; i < 1000; ++i) {
    a.send({{"x", i}, {"y", 2}});
    const Point back = a.recv(20s);
    if (back != Point{{"x", i + 1}, {"y", 2}}) FAIL("another message came back");
  }
  a.send({});
  CHECK(child.wait_for(10s) == 0);
}

TEST_CASE("requests and replies may be of different types") {
  auto [client, server] = Pipe<std::string, std::size_t>();
  std::jthread thread([&, end = server] { end.send(end.recv(10s).size()); });
  client.send("four");
  CHECK(client.recv(10s) == 4);
}

TEST_CASE("tasks of every backend take connections") {
  for (const std::string backend : {"threads", "fork", "spawn"}) {
    CAPTURE(backend);
    auto [a, b] = Pipe<int>();
    support::Child partner([&, end = a] {
      for (int i = 0; i < 100; ++i) {
        end.send(i);
        if (end.recv(20s) != i + 1) throw std::logic_error("another number came back");
      }
    });
    const auto done =
        Parallel({.n_jobs = 2, .backend = backend})(std::vector{delayed(echo)(b, 100)});
    CHECK(done[0] == 100);
    CHECK(partner.wait_for(10s) == 0);
  }
}

TEST_CASE("a pipe that isn't duplex goes from its second end to its first") {
  auto [receiver, sender] = Pipe<int>({.duplex = false});
  sender.send(5);
  CHECK(receiver.poll());
  CHECK(receiver.recv() == 5);
  CHECK_FALSE(receiver.poll());
  CHECK_FALSE(receiver.poll(5ms));
  CHECK_THROWS_AS(receiver.send(1), BadArgument);
  CHECK_THROWS_AS(sender.recv(), BadArgument);
  CHECK_THROWS_AS(receiver.recv(5ms), Empty);
  sender.close();
  CHECK(sender.closed());
  CHECK_THROWS_AS(sender.send(1), BadArgument);
  CHECK(receiver.poll());
  CHECK_THROWS_AS(receiver.recv(), EndOfStream);
}

TEST_CASE("the stream ends when the other end is closed, or when nobody is left who has it") {
  auto [a, b] = Pipe<int>();
  b.send(1);
  b.send(2);
  b.close();
  CHECK(a.recv() == 1);
  CHECK(a.recv() == 2);
  CHECK_THROWS_AS(a.recv(), EndOfStream);
  CHECK_THROWS_AS(a.send(3), EndOfStream);

  auto pipe = Pipe<int>();
  pipe.first.send(7);
  std::jthread waits([end = pipe.second] {
    CHECK(end.recv() == 7);
    CHECK_THROWS_AS(end.recv(20s), EndOfStream);
  });
  {
    const auto gone = std::move(pipe.first);
  }
}

TEST_CASE("the stream ends when a child dies, though the parent and other children had its end") {
  for (const bool uses : {true, false}) {
    CAPTURE(uses);
    auto [a, b] = Pipe<int>();
    support::Child child([&] {
      if (uses) b.send(1);
      ::pause();
    });
    support::Child sibling([&] { ::pause(); });
    if (uses) CHECK(a.recv(10s) == 1);
    b.close();
    CHECK_THROWS_AS(a.recv(300ms), Empty);
    child.kill();
    if (!uses) sibling.kill();  // one of them may have been meant
    CHECK_THROWS_AS(a.recv(20s), EndOfStream);
  }
}

TEST_CASE("a child sees the end of the stream when its parent dies, though siblings live on") {
  const Event seen;
  auto [a, b] = Pipe<int>();
  auto grandchild_ends = Pipe<int>();
  const Queue<int> pids;
  support::Child parent([&] {
    auto inner = Pipe<int>();
    support::Child reader([&, end = inner.second] {
      pids.put(::getpid());
      try {
        end.recv(20s);
      } catch (const EndOfStream&) {
        seen.set();
      }
    });
    support::Child sibling([&] {
      pids.put(::getpid());
      ::pause();
    });
    ::pause();
  });
  const int pid[2] = {pids.get(20s), pids.get(20s)};
  parent.kill();
  CHECK(seen.wait(20s));
  for (const int one : pid) ::kill(one, SIGKILL);
}

TEST_CASE("a message that a process sent before it died is received") {
  auto [a, b] = Pipe<std::string>();
  const std::string text(200'000, 't');
  support::Child child([&] { b.send(text); });
  CHECK(child.wait_for(10s) == 0);  // before it is received: nothing is lost, nobody waits
  b.close();
  CHECK(a.recv(10s) == text);
  CHECK_THROWS_AS(a.recv(10s), EndOfStream);
}

TEST_CASE("bytes go as they are, of any number") {
  auto [a, b] = Pipe<int>();
  a.send_bytes("some bytes");
  a.send_bytes(std::string_view());
  a.send_bytes("too many of them");
  a.send(4);
  a.send_bytes("last");
  const auto first = b.recv_bytes();
  CHECK(std::ranges::equal(first, as_bytes("some bytes")));
  CHECK(b.recv_bytes().empty());
  std::array<std::byte, 4> four{};
  try {
    b.recv_bytes_into(four);
    FAIL("more bytes than there is room for");
  } catch (const BufferTooShort& error) {
    CHECK(std::ranges::equal(error.message(), as_bytes("too many of them")));
  }
  CHECK_THROWS_AS(b.recv_bytes(), WrongType);
  CHECK_THROWS_AS(b.recv(), WrongType);
  CHECK_FALSE(b.poll());

  std::vector<std::byte> large(20'000'000);
  for (std::size_t i = 0; i < large.size(); ++i) large[i] = static_cast<std::byte>(i * 7 / 1000);
  support::Child child([&] {
    for (int i = 0; i < 3; ++i) a.send_bytes(large);
  });
  std::vector<std::byte> room(large.size() + 1);
  for (int i = 0; i < 3; ++i) {
    CHECK(b.recv_bytes_into(room) == large.size());
    CHECK(std::equal(large.begin(), large.end(), room.begin()));
  }
  CHECK(child.wait_for(10s) == 0);
}

TEST_CASE("whoever waits for several things is told which are ready") {
  auto [a, b] = Pipe<int>();
  auto [c, d] = Pipe<std::string>();
  const Queue<int> queue;
  int fds[2];
  REQUIRE(::pipe(fds) == 0);
  const auto none = wait_any({b, d, queue, fds[0]}, 10ms);
  CHECK(none.empty());
  queue.put(1);
  CHECK(wait_any({b, d, queue, fds[0]}) == std::vector<std::size_t>{2});
  c.send("text");
  CHECK(wait_any({b, d, queue, fds[0]}, 10s) == std::vector<std::size_t>{1, 2});
  CHECK(queue.get() == 1);
  CHECK(d.recv() == "text");
  CHECK(wait_any({b, d, queue, fds[0]}, 5ms).empty());
  std::jthread later([&, end = a] {
    std::this_thread::sleep_for(20ms);
    end.send(1);
  });
  CHECK(wait_any({b, d, queue, fds[0]}, 20s) == std::vector<std::size_t>{0});
  CHECK(b.recv() == 1);
  CHECK(::write(fds[1], "x", 1) == 1);
  CHECK(wait_any({b, d, queue, fds[0]}, 20s) == std::vector<std::size_t>{3});
  c.close();
  queue.close();
  CHECK(wait_any({b, d, queue}, 20s) == std::vector<std::size_t>{1, 2});
  ::close(fds[0]);
  ::close(fds[1]);
  CHECK_THROWS_AS(wait_any({fds[0]}, 1s), SystemError);
}

TEST_CASE("whoever polls, or waits for several things, sees that the other end was killed") {
  for (const bool polls : {true, false}) {
    CAPTURE(polls);
    auto [a, b] = Pipe<int>();
    support::Child child([&] {
      b.send(1);
      ::pause();
    });
    CHECK(a.recv(20s) == 1);
    b.close();
    CHECK_FALSE(a.poll());
    child.kill();
    if (polls) {
      const auto end = std::chrono::steady_clock::now() + 20s;
      while (!a.poll() && std::chrono::steady_clock::now() < end) std::this_thread::yield();
      CHECK(a.poll());
      CHECK_THROWS_AS(static_cast<void>(a.try_recv()), EndOfStream);
    } else {
      CHECK(wait_any({a}, 20s) == std::vector<std::size_t>{0});
    }
  }
}

TEST_CASE("large arrays that were dropped do not count for ever") {
  auto [a, b] = Pipe<Array<double>>();
  const Array<double> large({1'200'000});
  for (int i = 0; i < 5; ++i) {
    a.send(large, 20s);
    CHECK_THROWS_AS(b.recv_bytes(20s), WrongType);
  }
  a.send(large, 20s);
  CHECK(b.recv(20s).size() == large.size());
}

TEST_CASE("the descriptor of a connection is readable while there is something") {
  auto [a, b] = Pipe<int>();
  const auto readable = [fd = b.fileno()] {
    pollfd it{fd, POLLIN, 0};
    return ::poll(&it, 1, 0) == 1;
  };
  CHECK_FALSE(readable());
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 500; ++i) a.send(i);
    CHECK(readable());
    for (int i = 0; i < 500; ++i) {
      CHECK(readable());
      b.recv();
    }
    CHECK_FALSE(readable());
  }
  a.close();
  CHECK(readable());
}

TEST_CASE("connections of nothing are values, too") {
  struct Request {
    int number = 0;
    Connection<int> reply;
  };
  const Queue<Request> requests;
  auto [a, b] = Pipe<int>();
  requests.put({1, b});
  requests.put({2, {}});
  CHECK(requests.get().reply.closed() == false);
  const Request last = requests.get();
  CHECK(last.number == 2);
  CHECK(last.reply.closed());
  CHECK_THROWS_AS(last.reply.send(1), BadArgument);
  last.reply.close();
}

TEST_CASE("all elements of a range are waited for") {
  std::vector<Connection<int>> here;
  std::vector<Connection<int>> there;
  for (int i = 0; i < 3; ++i) {
    auto [a, b] = Pipe<int>();
    here.push_back(a);
    there.push_back(b);
  }
  CHECK(wait_any(here, 1ms).empty());
  there[1].send(5);
  CHECK(wait_any(here) == std::vector<std::size_t>{1});
  CHECK(here[1].try_recv() == 5);
  CHECK_FALSE(here[1].try_recv().has_value());
  CHECK_THROWS_AS(here[1].recv_bytes(1ms), Empty);
}

TEST_CASE("ends of pipes pass through pipes and queues") {
  const Queue<Connection<int>> ends;
  auto [a, b] = Pipe<int>();
  support::Child child([&] {
    const Connection<int> end = ends.get(20s);
    end.send(9);
  });
  ends.put(b);
  b.close();
  CHECK(a.recv(10s) == 9);
  CHECK(child.wait_for(10s) == 0);
  CHECK_THROWS_AS(a.recv(10s), EndOfStream);
}

TEST_CASE("pipes leave no descriptors") {
  const auto count = [] {
    int n = 0;
    for (int fd = 0; fd < 1024; ++fd) n += ::fcntl(fd, F_GETFD) != -1 ? 1 : 0;
    return n;
  };
  const int before = count();
  {
    auto [a, b] = Pipe<Array<double>>();
    Array<double> large({2'000'000});
    std::jthread sender([&, end = a] {
      for (int i = 0; i < 5; ++i) end.send(large);
    });
    for (int i = 0; i < 5; ++i) CHECK(b.recv(20s).size() == large.size());
  }
  CHECK(count() == before);
}
