// SPDX-License-Identifier: BSD-3-Clause
#include <dlfcn.h>
#include <doctest/doctest.h>
#include <fcntl.h>
#include <netdb.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>
#include <hoist/array.hpp>
#include <hoist/listener.hpp>
#include <hoist/lock.hpp>
#include <hoist/parallel.hpp>
#include <hoist/pipe.hpp>
#include <hoist/queue.hpp>
#include <hoist/shared.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <csignal>
#include <cstring>
#include <deque>
#include <map>
#include <numeric>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "program/module_map.hpp"
#include "support/child.hpp"
#include "support/child_program.hpp"
#include "support/peak_memory.hpp"
#include "support/sanitized.hpp"
#include "support/silent_port.hpp"
#include "support/temp_dir.hpp"

using namespace hoist;
using namespace std::chrono_literals;
using support::Child;
using support::TempDir;

/// In place of the system's: no name server answers for one host, and nobody knows localhost, as in
/// a container without /etc/hosts.
extern "C" int getaddrinfo(const char* host, const char* service, const addrinfo* hints,
                           addrinfo** result) {
  if (host != nullptr && std::strcmp(host, "localhost") == 0) return EAI_NONAME;
  if (host != nullptr && std::strcmp(host, "slow.test") == 0 &&
      (hints->ai_flags & AI_NUMERICHOST) == 0) {
    std::this_thread::sleep_for(3s);
    return EAI_AGAIN;
  }
  static auto* const systems =
      reinterpret_cast<decltype(&::getaddrinfo)>(::dlsym(RTLD_NEXT, "getaddrinfo"));
  // A host with two addresses.
  if (host != nullptr && std::strcmp(host, "two.test") == 0 &&
      (hints->ai_flags & AI_NUMERICHOST) == 0) {
    const int failed = systems("127.0.0.2", service, hints, result);
    return failed != 0 ? failed : systems("127.0.0.1", service, hints, &(*result)->ai_next);
  }
  return systems(host, service, hints, result);
}

namespace {

using Point = std::map<std::string, double>;

const std::string key = "a secret of the tests";

/// Both ends of a connection, by a path or a port.
template <class T, class U = T>
struct Pair {
  explicit Pair(bool by_path = true, std::size_t max_bytes = std::size_t{1} << 30)
      : listener(by_path ? (dir / "socket").string() : std::string("127.0.0.1:0"),
                 {.authkey = key, .max_message_bytes = max_bytes}) {
    std::jthread client([&] {
      ends[0].emplace(
          connect<T, U>(listener.address(), {.authkey = key, .max_message_bytes = max_bytes}));
    });
    other.emplace(listener.accept<U, T>(10s));
  }
  SocketConnection<T, U>& a() { return *ends[0]; }
  SocketConnection<U, T>& b() { return *other; }

  TempDir dir;
  Listener listener;
  std::array<std::optional<SocketConnection<T, U>>, 1> ends;
  std::optional<SocketConnection<U, T>> other;
};

/// What an error says; empty if there is none of that type.
template <class E, class Work>
std::string error_of(const Work& work) {
  try {
    work();
  } catch (const E& error) {
    return error.what();
  }
  return {};
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::string large_text(std::size_t n) {
  std::string text;
  text.resize(n, 'x');
  return text;
}

template <class T>
Array<T> filled(std::size_t n, T value) {
  Array<T> array({n});
  array.fill(value);
  return array;
}

int twice(int x) { return 2 * x; }

int ask(const std::string& address, int number) {
  const auto c = connect<int, int (*)(int)>(address, {.authkey = key});
  c.send(number);
  return c.recv(20s)(number);
}

struct Operation {
  int (*apply)(int);
  const char* name;
};

}  // namespace

static_assert(!detail::travels<SocketConnection<int>> && !detail::travels<Listener>);

TEST_CASE("messages go both ways by paths and by ports") {
  const TempDir dir;
  for (const std::string& address : {(dir / "socket").string(), std::string("127.0.0.1:0"),
                                     std::string("localhost:0"), std::string("[::1]:0")}) {
    CAPTURE(address);
    std::optional<Listener> listener;
    try {
      listener.emplace(address, ListenerOptions{.authkey = key});
    } catch (const SystemError& error) {
      // Not every machine has IPv6.
      CHECK(address.starts_with("[::1]"));
      MESSAGE("skipped: ", error.what());
      continue;
    }
    CHECK_FALSE(listener->address().ends_with(":0"));
    Child child([where = listener->address()] {
      const auto c = connect<Point>(where, {.authkey = key});
      for (;;) {
        Point point = c.recv();
        if (point.empty()) return;
        point["x"] += 1;
        c.send(point);
      }
    });
    const auto c = listener->accept<Point>(10s);
    for (int i = 0; i < 1000; ++i) {
      c.send({{"x", i}, {"y", 2}});
      const Point back = c.recv(20s);
      if (back != Point{{"x", i + 1}, {"y", 2}}) FAIL("another message came back");
    }
    c.send({});
    CHECK(child.wait_for(10s) == 0);
    CHECK_THROWS_AS(c.recv(10s), EndOfStream);
  }
}

TEST_CASE("a path without a key is enough for one user") {
  const TempDir dir;
  const Listener listener(dir / "socket");
  Child child([&] { connect<int>(dir / "socket").send(7); });
  CHECK(listener.accept<int>(10s).recv(10s) == 7);
  CHECK(child.wait_for(10s) == 0);
}

TEST_CASE("requests and replies may be of different types") {
  Pair<std::string, std::size_t> pair;
  std::jthread server([&] { pair.b().send(pair.b().recv(10s).size()); });
  pair.a().send("four");
  CHECK(pair.a().recv(10s) == 4);
}

TEST_CASE("a message of another type is refused") {
  const TempDir dir;
  const Listener listener(dir / "socket");
  std::jthread client([&] {
    const auto c = connect<std::vector<int>>(dir / "socket");
    c.send({1, 2});
    c.send_bytes("bytes");
    CHECK_THROWS_AS(c.recv(10s), WrongType);
  });
  const auto c = listener.accept<std::vector<double>, Point>(10s);
  CHECK(has(error_of<WrongType>([&] { c.recv(10s); }), "no std::map"));
  CHECK_THROWS_AS(c.recv(10s), WrongType);
  c.send({1, 2});
  CHECK_THROWS_AS(c.recv(10s), EndOfStream);
}

TEST_CASE("bytes are sent as they are") {
  Pair<int> pair;
  const auto& a = pair.a();
  const auto& b = pair.b();
  a.send_bytes("hello");
  a.send_bytes("");
  a.send_bytes("too long for four");
  a.send(1);
  a.send_bytes("no value");
  a.send(2);
  const std::vector<std::byte> hello = b.recv_bytes();
  CHECK(std::string(reinterpret_cast<const char*>(hello.data()), hello.size()) == "hello");
  CHECK(b.recv_bytes().empty());
  std::array<std::byte, 4> four;
  try {
    b.recv_bytes_into(four);
    FAIL("it fitted");
  } catch (const BufferTooShort& error) {
    CHECK(error.message().size() == 17);
  }
  CHECK_THROWS_AS(b.recv_bytes(), WrongType);
  CHECK_THROWS_AS(b.recv(), WrongType);
  CHECK(b.recv() == 2);
  b.send_bytes("abc");
  CHECK(a.recv_bytes_into(four) == 3);
  CHECK(four[2] == std::byte{'c'});
}

TEST_CASE("messages of all sizes arrive as they were sent") {
  for (const bool by_path : {true, false}) {
    Pair<std::vector<Array<int>>> pair(by_path);
    std::jthread sender([&] {
      for (int size = 1; size < 20'000'000; size = size * 3 + 1) {
        std::vector<Array<int>> arrays;
        for (int i = 0; i < 3; ++i) {
          Array<int> array({static_cast<std::size_t>(size + i)});
          std::iota(array.begin(), array.end(), i);
          arrays.push_back(array);
        }
        pair.a().send(arrays);
      }
      pair.a().send({});
    });
    int count = 0;
    for (int size = 1;; size = size * 3 + 1, ++count) {
      const auto arrays = pair.b().recv(20s);
      if (arrays.empty()) break;
      for (int i = 0; i < 3; ++i) {
        const auto& array = arrays.at(static_cast<std::size_t>(i));
        REQUIRE(array.size() == static_cast<std::size_t>(size + i));
        CHECK(array(0) == i);
        CHECK(array(array.size() - 1) == size + 2 * i - 1);
      }
    }
    CHECK(count > 10);
  }
}

TEST_CASE("a message of thousands of arrays arrives") {
  Pair<std::vector<Array<int>>> pair;
  std::vector<Array<int>> arrays;
  for (int i = 0; i < 5000; ++i) arrays.push_back(filled<int>(3, i));
  std::jthread sender([&] { pair.a().send(arrays); });
  const auto back = pair.b().recv(20s);
  REQUIRE(back.size() == arrays.size());
  CHECK(back[4999](2) == 4999);
}

TEST_CASE("a large array is sent from where it is") {
  if (support::sanitized) return;
  const TempDir dir;
  const Listener listener(dir / "socket");
  constexpr std::size_t n = std::size_t{8} << 20;
  std::jthread receiver([&] {
    const auto c = listener.accept<double, Array<double>>(20s);
    const auto array = c.recv(20s);
    c.send(array(n - 1));
  });
  const auto array = filled<double>(n, 1.5);
  const std::size_t grown = support::peak_growth([&] {
    const auto c = connect<Array<double>, double>(dir / "socket");
    c.send(array);
    if (c.recv(20s) != 1.5) throw std::logic_error("another array arrived");
  });
  CHECK(grown < n * sizeof(double) / 4);
}

TEST_CASE("a receive whose time is over in the middle of a message keeps what has come") {
  Pair<std::string> pair;
  const std::string large = large_text(30'000'000);
  Child sender([&] {
    const auto& a = pair.a();
    a.send(large);
    a.send("next");
  });
  // The child sends as fast as this process receives: it is stopped from time to time.
  int late = 0;
  std::string got;
  while (got.empty()) {
    ::kill(sender.pid(), SIGSTOP);
    try {
      while (got.empty()) got = pair.b().recv(1ms);
    } catch (const Empty&) {
      ++late;
    }
    ::kill(sender.pid(), SIGCONT);
  }
  CHECK(late > 0);
  CHECK((got == large));
  CHECK(pair.b().recv(20s) == "next");
}

TEST_CASE("of a message that could not be sent in time nothing is received") {
  Pair<std::string> pair;
  const std::string large = large_text(30'000'000);
  CHECK_THROWS_AS(pair.a().send(large, 20ms), Full);
  CHECK_THROWS_AS(pair.a().send("neither", 0s), Full);
  CHECK_FALSE(pair.b().poll(20ms));
  std::jthread sender([&] {
    pair.a().send("first");
    pair.a().send(large, 20s);
  });
  CHECK(pair.b().recv(20s) == "first");
  CHECK((pair.b().recv(20s) == large));
}

TEST_CASE("all that could be sent in time is received, and nothing else, whatever its size") {
  for (const bool by_path : {true, false}) {
    for (const std::size_t size : {10U, 4000U, 70'000U, 1'040'000U, 1'060'000U}) {
      CAPTURE(size);
      Pair<std::string> pair(by_path);
      std::deque<std::string> sent;
      int late = 0;
      const auto try_to_send = [&](char c) {
        try {
          pair.a().send(std::string(size, c), 0s);
          sent.emplace_back(size, c);
        } catch (const Full&) {
          ++late;
        }
      };
      const auto receive = [&] {
        if (!pair.b().poll(20ms)) return;
        CHECK((pair.b().recv(10s) == sent.front()));
        sent.pop_front();
      };
      while (late == 0) try_to_send('x');
      for (int i = 0; i < 20; ++i) {
        if (i % 3 == 0) receive();
        try_to_send(static_cast<char>('a' + i));
      }
      std::jthread sender([&] { pair.a().send("last"); });
      while (!sent.empty()) receive();
      CHECK(pair.b().recv(10s) == "last");
    }
  }
}

TEST_CASE("a message of which all but a part of its end could be sent is withdrawn") {
  // Some of these sizes fill the buffers of the connection in the middle of an end.
  for (std::size_t size = 32; size < 64; ++size) {
    CAPTURE(size);
    Pair<std::string> pair(false);
    std::size_t sent = 0;
    try {
      for (;; ++sent) pair.a().send(std::string(size, 'x'), 0s);
    } catch (const Full&) {
    }
    std::jthread sender([&] { pair.a().send("last"); });
    std::size_t got = 0;
    while (pair.b().recv(10s) != "last") ++got;
    CHECK(got == sent);
  }
}

TEST_CASE("the stream ends when the other side is closed or dies") {
  for (const bool by_path : {true, false}) {
    CAPTURE(by_path);
    Pair<std::string> pair(by_path);
    pair.a().send("last");
    pair.a().close();
    CHECK(pair.a().closed());
    CHECK_THROWS_AS(pair.a().send("more"), BadArgument);
    CHECK_THROWS_AS(pair.a().recv(), BadArgument);
    CHECK(pair.b().recv(10s) == "last");
    CHECK(pair.b().poll());
    CHECK_THROWS_AS(pair.b().recv(10s), EndOfStream);
    CHECK_THROWS_AS(pair.b().recv_bytes(), EndOfStream);
    const auto send_for_ever = [&] {
      for (;;) pair.b().send("more");
    };
    CHECK_THROWS_AS(send_for_ever(), EndOfStream);
    CHECK_FALSE(pair.b().closed());
  }
}

TEST_CASE("who dies in the middle of a message ends the stream") {
  Pair<std::string> pair(false);
  Child sender([&] {
    pair.b().close();
    const std::string large = large_text(100'000'000);
    std::signal(SIGALRM, [](int) { ::raise(SIGSTOP); });
    // It stops in the middle, however fast the machine is.
    const itimerval soon{.it_interval = {}, .it_value = {.tv_sec = 0, .tv_usec = 2000}};
    ::setitimer(ITIMER_REAL, &soon, nullptr);
    pair.a().send(large);
  });
  pair.a().close();
  CHECK_THROWS_AS(pair.b().recv(200ms), Empty);
  sender.kill();
  CHECK_THROWS_AS(pair.b().recv(20s), EndOfStream);
}

TEST_CASE("closing ends the waits of other threads") {
  Pair<std::string> pair;
  std::jthread receives([&] { CHECK_THROWS_AS(pair.a().recv(20s), BadArgument); });
  std::jthread sends(
      [&] { CHECK_THROWS_AS(pair.a().send(large_text(50'000'000), 20s), BadArgument); });
  std::this_thread::sleep_for(50ms);
  const auto start = std::chrono::steady_clock::now();
  pair.a().close();
  receives.join();
  sends.join();
  CHECK(std::chrono::steady_clock::now() - start < 10s);
}

TEST_CASE("wait_any takes connections beside pipes and descriptors") {
  Pair<int> first;
  Pair<int> second(false);
  auto pipe = Pipe<int>();
  CHECK(wait_any({first.b(), second.b(), pipe.first}, 10ms).empty());
  second.a().send(1);
  CHECK(wait_any({first.b(), second.b(), pipe.first}, 20s) == std::vector<std::size_t>{1});
  CHECK(second.b().poll());  // has taken it from the socket
  CHECK(wait_any({first.b(), second.b(), pipe.first}, 20s) == std::vector<std::size_t>{1});
  pipe.second.send(1);
  first.a().close();
  CHECK(wait_any({first.b(), second.b(), pipe.first}) == std::vector<std::size_t>{0, 1, 2});
  CHECK(second.b().recv() == 1);
  CHECK_FALSE(second.b().poll());
  CHECK(wait_any({second.b(), first.b().fileno()}, 20s) == std::vector<std::size_t>{1});
  CHECK_THROWS_AS((void)wait_any({second.b(), -1}, 20s), SystemError);
}

TEST_CASE("several threads send and receive whole messages") {
  Pair<std::vector<int>> pair;
  constexpr int each = 300;
  std::atomic<int> wrong{0};
  std::array<std::atomic<int>, 3 * each> seen{};
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 3; ++t) {
      threads.emplace_back([&, t] {
        for (int i = 0; i < each; ++i) {
          pair.a().send(std::vector(static_cast<std::size_t>(i * 37), t * each + i));
          pair.a().send(std::vector(1, t * each + i));
        }
      });
      threads.emplace_back([&] {
        for (int i = 0; i < 2 * each; ++i) {
          const auto got = pair.b().recv(20s);
          if (got.empty()) continue;
          wrong += std::ranges::all_of(got, [&](int x) { return x == got[0]; }) ? 0 : 1;
          ++seen.at(static_cast<std::size_t>(got[0]));
        }
      });
    }
  }
  CHECK(wrong == 0);
  CHECK(std::ranges::count_if(seen, [](const auto& n) { return n == 2; }) == 3 * (each - 1));
}

TEST_CASE("signals interrupt no message") {
  if (support::delays_signals) return;
  static std::atomic<int> signals;
  struct sigaction count{}, before{};
  count.sa_handler = [](int) { ++signals; };  // without SA_RESTART
  ::sigaction(SIGALRM, &count, &before);
  const itimerval often{{0, 500}, {0, 500}}, never{};
  ::setitimer(ITIMER_REAL, &often, nullptr);
  {
    Pair<std::string> pair(false);
    const std::string large = large_text(20'000'000);
    std::jthread sender([&] {
      for (int i = 0; i < 5; ++i) pair.a().send(large);
    });
    for (int i = 0; i < 5; ++i) CHECK((pair.b().recv(20s) == large));
  }
  ::setitimer(ITIMER_REAL, &never, nullptr);
  ::sigaction(SIGALRM, &before, nullptr);
  CHECK(signals > 0);
}

TEST_CASE("a message above the limit is not sent, and not received") {
  Pair<std::string> pair(true, 1000);
  CHECK(has(error_of<CannotTravel>([&] { pair.a().send(std::string(1000, 'x')); }),
            "max_message_bytes"));
  pair.a().send(std::string(900, 'x'));
  CHECK(pair.b().recv(10s).size() == 900);

  const auto generous = [&] {
    return connect<std::string>(pair.listener.address(), {.authkey = key});
  };
  std::optional<SocketConnection<std::string>> sender;
  std::jthread client([&] { sender.emplace(generous()); });
  const auto receiver = pair.listener.accept<std::string>(10s);
  client.join();
  sender->send(std::string(2000, 'x'));
  CHECK(has(error_of<LimitExceeded>([&] { receiver.recv(10s); }), "max_message_bytes"));
  CHECK_THROWS_AS(receiver.recv(10s), DamagedData);
  CHECK(receiver.poll());
  CHECK_THROWS_AS(sender->recv(10s), EndOfStream);
}

TEST_CASE("one listener has an address, and a dead one's path is free") {
  const TempDir dir;
  const std::string path = dir / "socket";
  {
    const Listener listener(path);
    CHECK(has(error_of<SystemError>([&] { const Listener second(path); }), path));
    struct stat info{};
    REQUIRE(::lstat(path.c_str(), &info) == 0);
    CHECK(S_ISSOCK(info.st_mode));
    CHECK((info.st_mode & 0777) == 0600);
    // The end of a child that has it, too, leaves the path.
    Child child([&] { listener.close(); });
    CHECK(child.wait_for(10s) == 0);
    CHECK(std::filesystem::exists(path));
  }
  CHECK_FALSE(std::filesystem::exists(path));

  Child dies([&] {
    const Listener listener(path);
    ::raise(SIGKILL);
  });
  CHECK(dies.wait_for(10s) == -SIGKILL);
  CHECK(std::filesystem::exists(path));
  const Listener listener(path);
  std::jthread client([&] { connect<int>(path).send(3); });
  CHECK(listener.accept<int>(10s).recv(10s) == 3);

  support::spill(dir / "file", "content");
  CHECK_THROWS_AS(Listener(dir / "file"), SystemError);
  CHECK(support::slurp(dir / "file") == "content");
  CHECK_THROWS_AS(Listener(dir / "nowhere/socket"), SystemError);
}

TEST_CASE("a path is only for its user, whatever the umask") {
  const TempDir dir;
  for (const mode_t mask : {0U, 0777U}) {
    const mode_t before = ::umask(mask);
    const Listener listener(dir / "socket");
    ::umask(before);
    struct stat info{};
    REQUIRE(::lstat((dir / "socket").c_str(), &info) == 0);
    CHECK((info.st_mode & 0777) == 0600);
  }
}

TEST_CASE("of many that want to listen at a dead one's path one does") {
  const TempDir dir;
  const std::string path = dir / "socket";
  for (int round = 0; round < 10; ++round) {
    Child dies([&] {
      const Listener listener(path);
      ::raise(SIGKILL);
    });
    dies.wait_for(10s);
    std::atomic<int> listening{0}, refused{0};
    std::vector<std::jthread> threads;
    for (int i = 0; i < 8; ++i) {
      threads.emplace_back([&] {
        try {
          const Listener listener(path);
          ++listening;
          while (listening + refused < 8) std::this_thread::yield();
        } catch (const SystemError& error) {
          if (error.code() == EADDRINUSE) ++refused;
        }
      });
    }
    threads.clear();
    CHECK(listening == 1);
    CHECK(refused == 7);
  }
}

TEST_CASE("a child that is forked while a path is taken keeps no other listener waiting") {
  const TempDir dir;
  const detail::os::Fd directory(::open(dir.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  REQUIRE(::flock(directory.get(), LOCK_EX) == 0);
  std::jthread listens([&] { const Listener listener(dir / "first"); });
  std::this_thread::sleep_for(100ms);
  Child child([] { std::this_thread::sleep_for(60s); });
  ::flock(directory.get(), LOCK_UN);
  listens.join();
  CHECK_NOTHROW(Listener(dir / "second"));
}

TEST_CASE("a port is free again at once") {
  std::string address = "127.0.0.1:0";
  for (int i = 0; i < 20; ++i) {
    const Listener listener(address, {.authkey = key});
    address = listener.address();
    CHECK_THROWS_AS(Listener(address, {.authkey = key}), SystemError);
    std::jthread client([&] { connect<int>(address, {.authkey = key}).send(i); });
    CHECK(listener.accept<int>(10s).recv(10s) == i);
  }
}

TEST_CASE("accepting takes a time limit, and ends when the listener is closed") {
  const TempDir dir;
  Listener first(dir / "socket");
  CHECK_THROWS_AS(first.accept<int>(10ms), TimedOut);
  CHECK_THROWS_AS(first.accept<int>(0s), TimedOut);
  Listener listener = std::move(first);
  std::jthread waits([&] { CHECK_THROWS_AS(listener.accept<int>(20s), Closed); });
  std::jthread waits_too([&] { CHECK_THROWS_AS(listener.accept<int>(20s), Closed); });
  std::this_thread::sleep_for(20ms);
  listener.close();
  waits.join();
  waits_too.join();
  CHECK(listener.closed());
  CHECK_THROWS_AS(listener.accept<int>(), Closed);
  CHECK_THROWS_AS(static_cast<void>(listener.fileno()), Closed);
  CHECK_FALSE(std::filesystem::exists(dir / "socket"));
}

TEST_CASE("connecting waits for a listener to come, but not for ever") {
  const TempDir dir;
  const std::string path = dir / "socket";
  CHECK_THROWS_AS(connect<int>(path, {.timeout = 30ms}), SystemError);
  CHECK_THROWS_AS(connect<int>("127.0.0.1:1", {.authkey = key, .timeout = 30ms}), SystemError);
  {
    // Somebody who listens and never accepts.
    const Listener listener(path);
    CHECK_THROWS_AS(connect<int>(path, {.timeout = 100ms}), TimedOut);
  }
  std::jthread client([&] { connect<int>(path, {.timeout = 20s}).send(1); });
  std::this_thread::sleep_for(50ms);
  const Listener listener(path);
  CHECK(listener.accept<int>(10s).recv(10s) == 1);
}

TEST_CASE("a name that is not looked up in time is waited for no longer") {
  const auto begin = std::chrono::steady_clock::now();
  CHECK_THROWS_AS(connect<int>("slow.test:7", {.authkey = "k", .timeout = 100ms}), TimedOut);
  CHECK(std::chrono::steady_clock::now() - begin < 2s);
  CHECK_THROWS_AS(connect<int>("slow.test:7", {.authkey = "k", .timeout = 20s}), NotFound);
  const Listener listener("localhost:0", {.authkey = "k"});
  Child client([&] { connect<int>(listener.address(), {.authkey = "k"}).send(1); });
  CHECK(listener.accept<int>(20s).recv(10s) == 1);
  CHECK(client.wait_for(10s) == 0);
}

TEST_CASE("an address that is silent takes no time of the next one") {
  const Listener listener("127.0.0.1:0", {.authkey = key});
  const std::string port = listener.address().substr(listener.address().find(':'));
  const support::SilentPort silent("127.0.0.2" + port);
  Child client([&] { connect<int>("two.test" + port, {.authkey = key, .timeout = 4s}).send(1); });
  CHECK(listener.accept<int>(10s).recv(10s) == 1);
  CHECK(client.wait_for(10s) == 0);
}

TEST_CASE("an address is a path or a host and a port") {
  for (const std::string address :
       {"", "socket", "host:", ":5000", "host:port", "host:70000", "::1:5000", "host:5000x", "[]:1",
        "[::1", "[host:1", "[a]b]:1"}) {
    CAPTURE(address);
    CHECK_THROWS_AS(Listener(address, {.authkey = key}), BadArgument);
    CHECK_THROWS_AS(connect<int>(address, {.authkey = key}), BadArgument);
  }
  CHECK_THROWS_AS(Listener("/tmp/" + std::string(200, 'x')), BadArgument);
  CHECK_THROWS_AS(Listener("/tmp/x", {.authkey = ""}), BadArgument);
  CHECK(has(error_of<BadArgument>([] { Listener("127.0.0.1:0"); }), "needs an authkey"));
  CHECK_THROWS_AS(connect<int>("127.0.0.1:1"), BadArgument);
}

TEST_CASE("who has another key, or none, is told so, and so is the listener") {
  struct Case {
    std::optional<std::string> listener, client;
    std::string listener_says, client_says;
  };
  for (const Case& one :
       {Case{"one", "two", "has another key", "has another key"},
        Case{"one", {}, "has no key", "has a key"}, Case{{}, "two", "has a key", "has no key"}}) {
    const TempDir dir;
    const Listener listener(dir / "socket", {.authkey = one.listener});
    std::string client_says;
    std::jthread client([&] {
      client_says = error_of<AuthenticationError>(
          [&] { connect<int>(dir / "socket", {.authkey = one.client}); });
      connect<int>(dir / "socket", {.authkey = one.listener}).send(1);
    });
    CHECK(
        has(error_of<AuthenticationError>([&] { listener.accept<int>(10s); }), one.listener_says));
    CHECK(listener.accept<int>(10s).recv(10s) == 1);
    client.join();
    CHECK(has(client_says, one.client_says));
  }
}

TEST_CASE("an error of authentication keeps its type when it comes from a task") {
  const auto fails = [](int) -> int { throw AuthenticationError("no key"); };
  CHECK(error_of<AuthenticationError>([&] {
          Parallel({.n_jobs = 2, .backend = "fork", .force_fork = support::delays_signals})
              .map(std::vector{1, 2}, fails);
        }) == "no key");
}

TEST_CASE("connects from another program" * doctest::skip()) {
  const bool any = std::getenv("HOIST_TEST_ANY") != nullptr;
  const std::string address = std::getenv("HOIST_TEST_ADDRESS");
  const auto text = error_of<AuthenticationError>([&] {
    const auto c = connect<std::vector<int>>(address, {.any_program = any});
    c.send({1, 2, 3});
    CHECK(c.recv(10s) == std::vector{4});
  });
  CHECK(text.empty() == any);
  if (!any) CHECK(has(text, "\" (build-id "));
}

TEST_CASE("another build of the program is refused, unless both sides allow it") {
  const auto id = detail::program::loaded_modules()->modules().front()->build_id;
  if (id.empty()) return;
  const TempDir dir;
  std::string program = support::slurp("/proc/self/exe");
  const std::string text(reinterpret_cast<const char*>(id.data()), id.size());
  REQUIRE(has(program, text));
  program[program.find(text)] ^= 1;
  support::spill(dir / "other", program);
  std::filesystem::permissions(dir / "other", std::filesystem::perms::owner_all);
  const std::string address = "HOIST_TEST_ADDRESS=" + (dir / "socket").string();
  {
    const Listener listener(dir / "socket");
    support::ChildProgram other("connects from another program", {address}, dir / "other");
    const auto says = error_of<AuthenticationError>([&] { listener.accept<int>(60s); });
    CAPTURE(says);
    CHECK(has(says, (dir / "other").string() + "\" (build-id "));
    CHECK(has(says, "this program is \"/"));
    CHECK(other.ends_within(60s));
    CHECK(other.exit_code() == 0);
  }
  const Listener listener(dir / "socket", {.any_program = true});
  support::ChildProgram other("connects from another program", {address, "HOIST_TEST_ANY=1"},
                              dir / "other");
  const auto c = listener.accept<std::vector<int>>(60s);
  CHECK(c.recv(20s) == std::vector{1, 2, 3});
  c.send({4});
  CHECK(other.ends_within(60s));
  CHECK(other.exit_code() == 0);
}

TEST_CASE("functions of the program can be sent, those of libraries can't") {
  Pair<int (*)(int)> pair;
  pair.a().send(&twice);
  CHECK(pair.b().recv(10s)(21) == 42);
  const auto library = reinterpret_cast<int (*)(int)>(::dlsym(RTLD_DEFAULT, "abs"));
  CHECK(has(error_of<CannotTravel>([&] { pair.a().send(library); }), "shared library"));

  Pair<Operation> operations(false);
  operations.a().send({&twice, "twice"});
  const Operation got = operations.b().recv(10s);
  CHECK(got.apply(4) == 8);
  CHECK(std::string(got.name) == "twice");
  CHECK_THROWS_AS(operations.a().send({library, "abs"}), CannotTravel);
}

TEST_CASE("tasks of every backend connect, and get functions") {
  for (const std::string backend : {"threads", "fork", "spawn"}) {
    CAPTURE(backend);
    const Listener listener("localhost:0", {.authkey = key});
    Child server([&] {
      for (int sum = 0; sum != 1 + 2 + 3 + 4;) {
        const auto c = listener.accept<int (*)(int), int>(20s);
        sum += c.recv(20s);
        c.send(&twice);
      }
    });
    const ParallelOptions options{
        .n_jobs = 2, .backend = backend, .force_fork = support::delays_signals};
    const auto call = delayed(ask);
    const std::vector calls{call(listener.address(), 1), call(listener.address(), 2),
                            call(listener.address(), 3), call(listener.address(), 4)};
    CHECK(Parallel(options)(calls) == std::vector{2, 4, 6, 8});
    CHECK(server.wait_for(20s) == 0);
  }
}

TEST_CASE("only values go where other programs are allowed") {
  const TempDir dir;
  const Listener listener(dir / "socket", {.any_program = true});
  std::jthread client([&] {
    const auto c = connect<Operation, Lock>(dir / "socket", {.any_program = true});
    CHECK_THROWS_AS(c.send({&twice, "twice"}), CannotTravel);
    CHECK_THROWS_AS(connect<Array<int>>(dir / "socket").send(Array<int>::shared({3})),
                    CannotTravel);
  });
  const auto c = listener.accept<Lock, Operation>(10s);
  CHECK_THROWS_AS(c.send(Lock()), CannotTravel);
  listener.accept<Array<int>>(10s);  // one side's wish is enough
  client.join();
}

TEST_CASE("handles go by the path of a socket to a process that had none") {
  using Handles = std::tuple<Lock, Queue<int>, SharedValue<int>, Array<double>, Lock>;
  const TempDir dir;
  Child server([&] {
    const Listener listener(dir / "socket");
    const auto c = listener.accept<int, Handles>(20s);
    const auto [lock, queue, value, array, same_lock] = c.recv(20s);
    lock.lock();
    queue.put(5);
    value.set(6);
    array(1) = 7;
    c.send(1);
    ::pause();
  });
  const auto c = connect<Handles, int>(dir / "socket");
  const Lock lock;
  const Queue<int> queue;
  const SharedValue<int> value(0);
  const auto array = Array<double>::shared({3});
  c.send({lock, queue, value, array, lock});
  CHECK(c.recv(20s) == 1);
  CHECK(queue.get(10s) == 5);
  CHECK(value.get() == 6);
  CHECK(array(1) == 7);
  CHECK_FALSE(lock.try_lock());
  server.kill();
  CHECK_THROWS_AS(lock.lock(), OwnerDied);
}

TEST_CASE("handles don't go by ports, nor in great numbers") {
  Pair<Array<double>> pair(false);
  CHECK(has(error_of<CannotTravel>([&] { pair.a().send(Array<double>::shared({3})); }),
            "only on one machine"));
  pair.a().send(filled<double>(3, 1));
  CHECK(pair.b().recv(10s)(2) == 1);

  Pair<std::vector<Array<double>>> many;
  std::vector<Array<double>> arrays;
  for (int i = 0; i < 65; ++i) arrays.push_back(Array<double>::shared({1}));
  CHECK_THROWS_AS(many.a().send(arrays), CannotTravel);
  arrays.pop_back();
  many.a().send(arrays);
  const auto got = many.b().recv(10s);
  got[63](0) = 8;
  CHECK(arrays[63](0) == 8);
}

TEST_CASE("a forked child may take over a connection") {
  Pair<int> pair;
  Child child([&] {
    for (;;) pair.b().send(pair.b().recv() + 1);
  });
  pair.b().close();
  pair.a().send(1);
  CHECK(pair.a().recv(10s) == 2);
  child.kill();
  CHECK_THROWS_AS(pair.a().recv(10s), EndOfStream);
}

TEST_CASE("a connection that a thread waits for is closed in a child that is forked meanwhile") {
  Pair<int> pair;
  std::jthread waits([&] { CHECK(pair.b().recv(20s) == 9); });
  const auto is_closed_in_child = [&] {
    Child child([&] {
      if (!pair.b().closed()) throw std::logic_error("it isn't");
      pair.b().close();
    });
    return child.wait_for(10s) == 0;
  };
  CHECK(support::within(10s, is_closed_in_child));
  CHECK_FALSE(pair.b().closed());
  pair.a().send(9);
}

TEST_CASE("a forked child accepts connections, too") {
  const TempDir dir;
  const Listener listener(dir / "socket");
  std::jthread waits([&] { CHECK_THROWS_AS(listener.accept<int>(20s), Closed); });
  std::this_thread::sleep_for(20ms);
  Child child([&] { listener.accept<int>(20s).send(::getpid()); });
  listener.close();
  waits.join();
  // The path is gone, but not the child's socket: it waits for nobody any more.
  CHECK_THROWS_AS(connect<int>(dir / "socket", {.timeout = 0ms}), SystemError);
  child.kill();
}

TEST_CASE("a listener that was moved from says so") {
  const TempDir dir;
  Listener first(dir / "socket");
  const Listener second(std::move(first));
  CHECK(second.address() == (dir / "socket").string());
  CHECK_THROWS_AS(first.address(), BadArgument);  // NOLINT: it says so
  CHECK_THROWS_AS(first.accept<int>(0s), BadArgument);
  CHECK_THROWS_AS(first.close(), BadArgument);
}
