// SPDX-License-Identifier: BSD-3-Clause
//
// What a listener, and who connects, meets in a bad world: peers without the key, that say nothing,
// nonsense or what they were told, and those that die at any moment. Nobody else is held up, little
// memory is taken, and nothing is left over.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <hoist/listener.hpp>
#include <hoist/sync.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "sockets/authentication.hpp"
#include "sockets/message.hpp"
#include "support/child.hpp"
#include "support/extended.hpp"
#include "support/peak_memory.hpp"
#include "support/sanitized.hpp"
#include "support/temp_dir.hpp"

using namespace hoist;
using namespace hoist::detail::sockets;
using namespace std::chrono_literals;
using support::Child;
using support::TempDir;

namespace {

const std::string key = "a secret of the tests";

/// A socket without any protocol.
class Raw {
 public:
  Raw() = default;
  explicit Raw(int fd) : fd_(fd) {}
  explicit Raw(const std::string& path) : fd_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const sockaddr_un name = name_of(path);
    const auto* const address = reinterpret_cast<const sockaddr*>(&name);
    // The file is there a moment before anybody listens.
    for (int i = 0; ::connect(fd_, address, sizeof name) != 0; ++i) {
      if (errno != ECONNREFUSED || i == 20'000) throw std::runtime_error("can't connect");
      std::this_thread::sleep_for(1ms);
    }
  }
  Raw(Raw&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Raw& operator=(Raw&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Raw() { ::close(fd_); }

  /// Listens, accepts one connection, and listens no more.
  static Raw accept_at(const std::string& path) {
    const Raw listens(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const sockaddr_un name = name_of(path);
    if (::bind(listens.fd_, reinterpret_cast<const sockaddr*>(&name), sizeof name) != 0 ||
        ::listen(listens.fd_, 5) != 0) {
      throw std::runtime_error("can't listen");
    }
    return Raw(::accept4(listens.fd_, nullptr, nullptr, SOCK_CLOEXEC));
  }

  int fd() const { return fd_; }
  /// False if the other side is gone.
  bool send(const void* data, std::size_t bytes) const {
    return ::send(fd_, data, bytes, MSG_NOSIGNAL) == static_cast<ssize_t>(bytes);
  }
  bool receive(void* data, std::size_t bytes) const {
    return ::recv(fd_, data, bytes, MSG_WAITALL) == static_cast<ssize_t>(bytes);
  }
  /// Whether the other side has closed it, within that time.
  bool ends_within(int milliseconds) const {
    std::array<char, 1000> input;
    pollfd file{fd_, POLLIN, 0};
    while (::poll(&file, 1, milliseconds) > 0) {
      if (::recv(fd_, input.data(), input.size(), 0) <= 0) return true;
    }
    return false;
  }
  /// As a client, or a listener, that has the key.
  bool shake_hands(Role role) const {
    Handshake handshake(role, AuthenticationKey(key), false, "test");
    while (!handshake.is_done()) {
      const auto output = handshake.output();
      if (!output.empty() && !send(output.data(), output.size())) return false;
      handshake.sent(output.size());
      const auto room = handshake.room();
      if (!room.empty() && !receive(room.data(), room.size())) return false;
      if (!room.empty()) handshake.take(room.size());
    }
    return true;
  }

 private:
  static sockaddr_un name_of(const std::string& path) {
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    path.copy(name.sun_path, sizeof name.sun_path - 1);
    return name;
  }

  int fd_ = -1;
};

std::size_t descriptors() { return support::count_entries("/proc/self/fd"); }

/// A listener that answers every connection's first number, in a thread.
class Server {
 public:
  explicit Server(const std::string& path, ListenerOptions options = {.authkey = key})
      : listener_(path, options), thread_([this] { serve(); }) {}
  ~Server() { listener_.close(); }

  int refused() const { return refused_.load(); }

 private:
  void serve() {
    for (;;) {
      try {
        const auto c = listener_.accept<int>();
        c.send(c.recv(10s) + 1, 10s);
      } catch (const Closed&) {
        return;
      } catch (const AuthenticationError&) {
        ++refused_;
      } catch (const Error&) {
      }
    }
  }

  Listener listener_;
  std::atomic<int> refused_{0};
  std::jthread thread_;
};

bool is_served(const std::string& path) {
  const auto c = connect<int>(path, {.authkey = key, .timeout = 10s});
  c.send(1);
  return c.recv(10s) == 2;
}

}  // namespace

TEST_CASE("peers that say nothing keep nobody out of a process that has few descriptors") {
  const TempDir dir;
  const std::string path = dir / "socket";
  Child server([&] {
    const Listener listener(path, {.authkey = key, .handshake_timeout = 1s});
    const int next = ::dup(0);
    ::close(next);
    const auto most = static_cast<rlim_t>(next) + 20;
    const rlimit few{most, most};
    ::setrlimit(RLIMIT_NOFILE, &few);
    int errors = 0;
    for (const auto end = std::chrono::steady_clock::now() + 20s; errors < 1000;) {
      if (std::chrono::steady_clock::now() > end) break;
      try {
        if (listener.accept<int>(1s).recv(1s) == 7) return;
      } catch (const TimedOut&) {
      } catch (const Error&) {
        ++errors;
      }
    }
    throw std::runtime_error("nobody came in");
  });
  for (int i = 0; i < 20'000 && !std::filesystem::exists(path); ++i) {
    std::this_thread::sleep_for(1ms);
  }
  std::vector<Raw> silent;
  for (int i = 0; i < 40; ++i) silent.emplace_back(path);
  connect<int>(path, {.authkey = key, .timeout = 20s}).send(7);
  CHECK(server.wait_for(30s) == 0);
}

TEST_CASE("peers that say nothing, slowly, or too little hold up nobody") {
  const TempDir dir;
  const std::string path = dir / "socket";
  const std::size_t before = descriptors();
  {
    const Server server(path, {.authkey = key, .handshake_timeout = 1s});
    std::vector<Raw> silent;
    Hello hello;
    std::memcpy(hello.magic.data(), "hoistcon", 8);
    hello.version = 1;
    for (std::size_t i = 0; i < 100; ++i) {
      silent.emplace_back(path);
      silent.back().send(&hello, i % sizeof hello);
    }
    for (int i = 0; i < 20; ++i) {
      CHECK(is_served(path));
      // A byte now and then keeps no connection.
      for (const Raw& one : silent) one.send("h", 1);
    }
    for (const Raw& one : silent) CHECK(one.ends_within(10'000));
    CHECK(server.refused() == 0);
  }
  CHECK(descriptors() == before);
  CHECK_FALSE(std::filesystem::exists(path));
}

TEST_CASE("the memory of a listener that is flooded stays small") {
  if (support::sanitized) return;
  const TempDir dir;
  const std::string path = dir / "socket";
  Child flood([&] {
    while (!std::filesystem::exists(path)) std::this_thread::sleep_for(1ms);
    std::vector<Raw> some(100);
    const std::vector<char> garbage(100'000, 'h');
    for (unsigned i = 0;; ++i) {
      Raw one(path);
      ::fcntl(one.fd(), F_SETFL, O_NONBLOCK);
      one.send(garbage.data(), i % 2 == 0 ? 8 : garbage.size());
      some[i % some.size()] = std::move(one);
    }
  });
  const std::size_t grown = support::peak_growth([&] {
    const Listener listener(path, {.authkey = key});
    const auto end = std::chrono::steady_clock::now() + 2s;
    while (std::chrono::steady_clock::now() < end) {
      try {
        listener.accept<int>(100ms);
      } catch (const TimedOut&) {
      }
    }
  });
  CHECK(grown < std::size_t{4} << 20);
}

TEST_CASE("garbage is refused at its first bytes") {
  const TempDir dir;
  const std::string path = dir / "socket";
  const Server server(path);
  for (const std::string& text : {std::string("GET / HTTP/1.1\r\n\r\n"), std::string(1, '\0'),
                                  std::string("hoistcot"), std::string(100'000, '\xff')}) {
    const Raw raw(path);
    raw.send(text.data(), text.size());
    CHECK(raw.ends_within(5000));
  }
  CHECK(is_served(path));
  CHECK(server.refused() == 0);
}

TEST_CASE("who has another key, another version or a wrong proof is refused") {
  const TempDir dir;
  const std::string path = dir / "socket";
  Server server(path);
  for (int i = 0; i < 20; ++i) {
    CHECK_THROWS_AS(connect<int>(path, {.authkey = "guess " + std::to_string(i)}),
                    AuthenticationError);
  }
  CHECK(is_served(path));
  CHECK(server.refused() == 20);

  Hello hello;
  std::memcpy(hello.magic.data(), "hoistcon", 8);
  hello.version = 2;
  const Raw newer(path);
  newer.send(&hello, sizeof hello);
  CHECK(newer.ends_within(5000));

  // Lengths and flags of any value.
  std::mt19937 random(3);
  hello.version = 1;
  for (int i = 0; i < 100; ++i) {
    const Raw raw(path);
    Proof proof;
    std::array<unsigned char, sizeof proof> noise;
    for (auto& byte : noise) byte = static_cast<unsigned char>(random());
    raw.send(&hello, sizeof hello);
    raw.send(noise.data(), noise.size());
    CHECK(raw.ends_within(5000));
  }
  CHECK(is_served(path));
}

TEST_CASE("what a side has said itself proves nothing") {
  const TempDir dir;
  const std::string path = dir / "socket";
  {
    const Server server(path);
    const Raw raw(path);
    // The listener's hello comes back to it, and its refusal, too.
    std::array<char, sizeof(Hello)> hello;
    REQUIRE(raw.receive(hello.data(), hello.size()));
    raw.send(hello.data(), hello.size());
    std::array<char, sizeof(Proof)> proof{};
    raw.send(proof.data(), proof.size());
    REQUIRE(raw.receive(proof.data(), proof.size()));
    CHECK(proof[0] == 1);
    CHECK(raw.ends_within(5000));
  }
  // A client whose hello and proof come back.
  std::jthread mirror([&] {
    const Raw raw = Raw::accept_at(path);
    std::array<char, sizeof(Hello) + sizeof(Proof)> said;
    for (const auto& [from, bytes] :
         {std::pair<std::size_t, std::size_t>{0, sizeof(Hello)}, {sizeof(Hello), sizeof(Proof)}}) {
      raw.receive(said.data() + from, bytes);
      raw.send(said.data() + from, bytes);
    }
  });
  CHECK_THROWS_AS(connect<int>(path, {.authkey = key}), AuthenticationError);
}

TEST_CASE("the proof of one handshake is worth nothing in another") {
  const TempDir dir;
  const std::string path = dir / "socket";
  // Between a client and a listener, all that the client says is noted.
  std::array<char, sizeof(Hello) + sizeof(Proof)> said;
  {
    const std::string front = dir / "front";
    std::jthread client([&] { CHECK(is_served(front)); });
    const Raw towards_client = Raw::accept_at(front);
    const Server server(path);
    const Raw towards_listener(path);
    const auto pass = [](const Raw& from, const Raw& to, char* data, std::size_t bytes) {
      from.receive(data, bytes);
      to.send(data, bytes);
    };
    std::array<char, sizeof(Proof)> listener;
    pass(towards_client, towards_listener, said.data(), sizeof(Hello));
    pass(towards_listener, towards_client, listener.data(), sizeof(Hello));
    pass(towards_client, towards_listener, said.data() + sizeof(Hello), sizeof(Proof));
    pass(towards_listener, towards_client, listener.data(), sizeof(Proof));
    std::array<char, 1000> message;
    const auto pass_some = [&](const Raw& from, const Raw& to) {
      const ssize_t n = ::recv(from.fd(), message.data(), message.size(), 0);
      to.send(message.data(), static_cast<std::size_t>(n));
    };
    pass_some(towards_client, towards_listener);
    pass_some(towards_listener, towards_client);
  }
  const Server server(path);
  const Raw again(path);
  again.send(said.data(), said.size());
  std::array<char, sizeof(Hello) + sizeof(Proof)> answer;
  REQUIRE(again.receive(answer.data(), answer.size()));
  CHECK(answer[sizeof(Hello)] == 1);
  CHECK(again.ends_within(5000));
}

TEST_CASE("a listener that says nothing, nonsense, or goes doesn't hold up who connects") {
  const TempDir dir;
  for (const std::string text : {"", "nonsense", "hoistcon"}) {
    CAPTURE(text);
    const std::string path = dir / ("socket" + text);
    std::jthread server([&] {
      const Raw raw = Raw::accept_at(path);
      raw.send(text.data(), text.size());
      raw.ends_within(10'000);
    });
    const ConnectOptions options{.authkey = key, .timeout = 200ms};
    if (text == "nonsense") {
      CHECK_THROWS_AS(connect<int>(path, options), DamagedData);
    } else {
      CHECK_THROWS_AS(connect<int>(path, options), TimedOut);
    }
  }
}

TEST_CASE("lengths that are lies cost no memory, and end the stream") {
  const TempDir dir;
  const std::string path = dir / "socket";
  const Listener listener(path, {.authkey = key});
  struct Lie {
    ChunkHeader chunk;
    MessageHeader message;
    bool waits;  // for what was announced
  };
  const std::uint64_t gib = std::uint64_t{1} << 30;
  const std::uint64_t type = detail::message_type<std::string>().tag;
  for (const Lie& lie :
       {Lie{{max_chunk, ChunkKind::content}, {gib, type, 0, 0}, true},
        Lie{{max_chunk, ChunkKind::content}, {gib, type, 1 << 25, 0}, true},
        Lie{{max_chunk, ChunkKind::content}, {gib + 1, type, 0, 0}, false},
        Lie{{max_chunk, ChunkKind::content}, {~std::uint64_t{0}, type, 0, 0}, false},
        Lie{{max_chunk, ChunkKind::content}, {gib, type, ~0U, 0}, false},
        Lie{{max_chunk, ChunkKind::content}, {gib, type, 1, 65}, false},
        Lie{{max_chunk, ChunkKind::content}, {gib, 0, 1, 0}, false},
        Lie{{~0U, ChunkKind::content}, {gib, type, 0, 0}, false},
        Lie{{0, ChunkKind::end}, {24, type, 0, 0}, false},
        Lie{{23, ChunkKind::content}, {24, type, 0, 0}, false},
        Lie{{25, ChunkKind::content}, {24, type, 0, 0}, false},
        Lie{{24, ChunkKind::content}, {24, type, 0, 0}, true},
        Lie{{0, ChunkKind::withdrawn}, {24, type, 0, 0}, false},
        Lie{{24, ChunkKind{7}}, {24, type, 0, 0}, false}}) {
    CAPTURE(lie.message.bytes);
    CAPTURE(lie.message.segments);
    std::jthread liar([&] {
      const Raw raw(path);
      REQUIRE(raw.shake_hands(Role::client));
      raw.send(&lie.chunk, sizeof lie.chunk);
      raw.send(&lie.message, sizeof lie.message);
      raw.ends_within(10'000);
    });
    const auto c = listener.accept<std::string>(10s);
    const auto is_found_out = [&] {
      try {
        c.recv(lie.waits ? 50ms : 10'000ms);
      } catch (const Empty&) {
        return lie.waits;
      } catch (const DamagedData&) {
        return !lie.waits;
      }
      return false;
    };
    if (support::sanitized) {
      CHECK(is_found_out());
    } else {
      CHECK(support::peak_growth([&] {
              if (!is_found_out()) throw std::logic_error("a lie was believed");
            }) < std::size_t{8} << 20);
    }
    c.close();
  }
}

TEST_CASE("descriptors that nobody asked for are closed") {
  const TempDir dir;
  const std::string path = dir / "socket";
  const Listener listener(path, {.authkey = key});
  std::jthread client([&] {
    const Raw raw(path);
    REQUIRE(raw.shake_hands(Role::client));
    const ChunkHeader chunk{sizeof(MessageHeader), ChunkKind::content};
    const ChunkHeader end{0, ChunkKind::end};
    MessageHeader head{sizeof(MessageHeader), detail::message_type<std::string>().tag, 0, 0};
    std::array<std::byte, sizeof chunk + sizeof head + sizeof end> bytes;
    std::memcpy(bytes.data(), &chunk, sizeof chunk);
    std::memcpy(bytes.data() + sizeof chunk, &head, sizeof head);
    std::memcpy(bytes.data() + sizeof chunk + sizeof head, &end, sizeof end);
    iovec part{bytes.data(), bytes.size()};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(50 * sizeof(int))> control{};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* const header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(50 * sizeof(int));
    for (std::size_t i = 0; i < 50; ++i) {
      const int fd = raw.fd();
      std::memcpy(CMSG_DATA(header) + i * sizeof fd, &fd, sizeof fd);
    }
    ::sendmsg(raw.fd(), &message, MSG_NOSIGNAL);
    raw.ends_within(10'000);
  });
  const auto c = listener.accept<std::string>(10s);
  const std::size_t before = descriptors();
  CHECK_THROWS_AS(c.recv(10s), Error);  // no string is so short
  CHECK(descriptors() <= before);
}

TEST_CASE("peers are killed at random moments") {
  const TempDir dir;
  const std::string path = dir / "socket";
  const std::size_t before = descriptors();
  {
    const Listener listener(path, {.authkey = key});
    std::mt19937 random(7);
    const int rounds = support::extended ? 2000 : 100;
    const int slowness = support::sanitized ? 10 : 1;
    int whole = 0, ended = 0;
    for (int round = 0; round < rounds; ++round) {
      const Event started;
      Child client([&] {
        started.set();
        for (;;) {
          const auto c = connect<std::string>(path, {.authkey = key});
          for (int i = 0; i < 3; ++i) c.send(std::string(300'000, 'x'));
        }
      });
      std::atomic<bool> killed{false};
      std::jthread killer([&, pause = random() % (round % 2 == 0 ? 3000 : 30'000)] {
        static_cast<void>(started.wait(10s));
        std::this_thread::sleep_for(slowness * std::chrono::microseconds(pause));
        ::kill(client.pid(), SIGKILL);
        killed = true;
      });
      while (!killed) {
        try {
          const auto c = listener.accept<std::string>(10ms);
          for (;;) {
            const std::string got = c.recv(10s);
            if (got.size() != 300'000 || got.back() != 'x') FAIL("a broken message arrived");
            ++whole;
          }
        } catch (const EndOfStream&) {
          ++ended;
        } catch (const TimedOut&) {
        }
      }
    }
    CHECK(whole > 0);
    CHECK(ended > 0);
    std::jthread client([&] { connect<int>(path, {.authkey = key}).send(1); });
    CHECK(listener.accept<int>(10s).recv(10s) == 1);
  }
  CHECK(descriptors() == before);
  CHECK_FALSE(std::filesystem::exists(path));
}
