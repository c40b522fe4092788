// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

// A Redis server, and the barest client of it: what can be had from it at all.

namespace bench {

inline sockaddr_in address_of(int port) {
  sockaddr_in name{};
  name.sin_family = AF_INET;
  name.sin_port = htons(static_cast<std::uint16_t>(port));
  name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return name;
}

/// A blocking socket, and replies of which the caller knows how long they are.
class RawClient {
 public:
  explicit RawClient(int port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const sockaddr_in name = address_of(port);
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (::connect(fd_, reinterpret_cast<const sockaddr*>(&name), sizeof name) != 0) {
      if (std::chrono::steady_clock::now() > end) throw std::runtime_error("no Redis server");
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    const int on = 1;
    ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;
  ~RawClient() { ::close(fd_); }

  void send(const char* data, std::size_t bytes) const {
    while (bytes > 0) {
      const ssize_t sent = ::send(fd_, data, bytes, MSG_NOSIGNAL);
      if (sent <= 0) throw std::runtime_error("the Redis server is gone");
      data += sent;
      bytes -= static_cast<std::size_t>(sent);
    }
  }
  void receive(char* to, std::size_t bytes) const {
    while (bytes > 0) {
      const ssize_t got = ::recv(fd_, to, bytes, 0);
      if (got <= 0) throw std::runtime_error("the Redis server is gone");
      to += got;
      bytes -= static_cast<std::size_t>(got);
    }
  }
  void set(const std::string& key, const std::vector<char>& value) const {
    const std::string head = "*3\r\n$3\r\nSET\r\n$" + std::to_string(key.size()) + "\r\n" + key +
                             "\r\n$" + std::to_string(value.size()) + "\r\n";
    send(head.data(), head.size());
    send(value.data(), value.size());
    send("\r\n", 2);
    char reply[5];
    receive(reply, sizeof reply);
  }
  void push(const std::string& list, const std::string& value) const {
    const std::string words = "*3\r\n$5\r\nRPUSH\r\n$" + std::to_string(list.size()) + "\r\n" +
                              list + "\r\n$" + std::to_string(value.size()) + "\r\n" + value +
                              "\r\n";
    send(words.data(), words.size());
  }
  /// The reply to a push onto a list that was empty.
  void pushed() const {
    char reply[4];
    receive(reply, sizeof reply);
  }
  /// Waits for a value of so many bytes.
  void pop(const std::string& list, std::size_t bytes) const {
    const std::string key = "$" + std::to_string(list.size()) + "\r\n" + list + "\r\n";
    const std::string words = "*3\r\n$5\r\nBLPOP\r\n" + key + "$1\r\n0\r\n";
    send(words.data(), words.size());
    std::string reply(4 + key.size() + 1 + std::to_string(bytes).size() + 2 + bytes + 2, 0);
    receive(reply.data(), reply.size());
  }
  /// Scripts that push the value, sent without a wait for the replies to those before them.
  void push_by_scripts(const std::string& list, int times, const std::string& value) const {
    const std::string script = "return redis.call('RPUSH',KEYS[1],ARGV[1]) and 1";
    const std::string words = "*5\r\n$4\r\nEVAL\r\n$" + std::to_string(script.size()) + "\r\n" +
                              script + "\r\n$1\r\n1\r\n$" + std::to_string(list.size()) + "\r\n" +
                              list + "\r\n$" + std::to_string(value.size()) + "\r\n" + value +
                              "\r\n";
    for (int i = 0; i < times; ++i) send(words.data(), words.size());
    for (int i = 0; i < times; ++i) pushed();
  }
  std::string info() const {
    const std::string words = "*2\r\n$4\r\nINFO\r\n$3\r\nall\r\n";
    send(words.data(), words.size());
    std::string head;
    while (!head.ends_with("\r\n")) {
      head.push_back(0);
      receive(&head.back(), 1);
    }
    std::string text(std::stoul(head.substr(1)) + 2, 0);
    receive(text.data(), text.size());
    return text;
  }
  /// To `to`, which has room for the bytes and what is around them.
  void get(const std::string& key, char* to, std::size_t bytes) const {
    const std::string words =
        "*2\r\n$3\r\nGET\r\n$" + std::to_string(key.size()) + "\r\n" + key + "\r\n";
    send(words.data(), words.size());
    receive(to, 1 + std::to_string(bytes).size() + 2 + bytes + 2);
  }

 private:
  int fd_;
};

/// A server for the time of the group.
class RedisServer {
 public:
  RedisServer() : port_(free_port()) {
    const std::string port = std::to_string(port_);
    pid_ = ::fork();
    if (pid_ == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      const int null = ::open("/dev/null", O_WRONLY);
      ::dup2(null, STDOUT_FILENO);
      ::execlp("redis-server", "redis-server", "--port", port.c_str(), "--save", "", nullptr);
      ::_exit(127);
    }
  }
  RedisServer(const RedisServer&) = delete;
  RedisServer& operator=(const RedisServer&) = delete;
  ~RedisServer() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  int port() const { return port_; }
  std::string url() const { return "redis://127.0.0.1:" + std::to_string(port_) + "/bench"; }

 private:
  static int free_port() {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in name = address_of(0);
    socklen_t size = sizeof name;
    ::bind(fd, reinterpret_cast<sockaddr*>(&name), size);
    ::getsockname(fd, reinterpret_cast<sockaddr*>(&name), &size);
    ::close(fd);
    return ntohs(name.sin_port);
  }

  int port_;
  pid_t pid_ = -1;
};

}  // namespace bench
