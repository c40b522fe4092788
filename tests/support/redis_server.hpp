// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "support/temp_dir.hpp"

namespace support {

/// A program of this machine that is ended, and collected, at the latest with this.
class Daemon {
 public:
  Daemon() = default;
  Daemon(const std::vector<std::string>& words, const std::string& log) {
    std::vector<char*> arguments;
    for (const auto& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
    arguments.push_back(nullptr);
    pid_ = ::fork();
    if (pid_ != 0) return;
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    const int fd = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    ::dup2(fd, 1);
    ::dup2(fd, 2);
    ::close_range(3, ~0U, 0);
    ::execvp(arguments[0], arguments.data());
    ::_exit(127);
  }
  Daemon(Daemon&& other) noexcept : pid_(std::exchange(other.pid_, -1)) {}
  Daemon& operator=(Daemon&& other) noexcept {
    std::swap(pid_, other.pid_);
    return *this;
  }
  ~Daemon() { end(SIGKILL); }

  int pid() const { return pid_; }
  void end(int signal) {
    if (pid_ <= 0) return;
    ::kill(pid_, signal);
    ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }
  bool has_ended() {
    if (pid_ <= 0 || ::waitpid(pid_, nullptr, WNOHANG) != pid_) return pid_ <= 0;
    pid_ = -1;
    return true;
  }

 private:
  pid_t pid_ = -1;
};

/// A port of 127.0.0.1 that was free a moment ago.
inline int free_port() {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in name{};
  name.sin_family = AF_INET;
  name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof name;
  const bool bound = ::bind(fd, reinterpret_cast<sockaddr*>(&name), size) == 0 &&
                     ::getsockname(fd, reinterpret_cast<sockaddr*>(&name), &size) == 0;
  ::close(fd);
  if (!bound) throw std::runtime_error("no port is free");
  return ntohs(name.sin_port);
}

/// Certificates of an authority and of a server of that name.
inline void make_certificates(const TempDir& directory) {
  const std::string d = directory.path().string();
  const std::string commands =
      "cd '" + d +
      "' && "
      "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=ca "
      "-keyout ca.key -out ca.pem && "
      "openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=server "
      "-keyout server.key -out server.csr && "
      "printf 'subjectAltName=DNS:localhost' >names && "
      "openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 "
      "-extfile names -out server.pem";
  const std::string quiet = "{ " + commands + "; } >'" + d + "/openssl.log' 2>&1";
  if (std::system(quiet.c_str()) != 0) {
    throw std::runtime_error("openssl: " + slurp(directory / "openssl.log"));
  }
}

/// A Redis server of the test, on a socket in a directory of its own and, where asked for, on a
/// port of 127.0.0.1.
class RedisServer {
 public:
  /// `options` are those of redis-server, word by word.
  explicit RedisServer(std::vector<std::string> options = {}) : options_(std::move(options)) {
    start();
  }

  const TempDir& directory() const { return directory_; }
  std::string socket() const { return (directory_ / "redis.sock").string(); }
  /// With that name on the server, and other options of a URL.
  std::string url(const std::string& name = "test", const std::string& options = {}) const {
    return "unix://" + socket() + "?name=" + name + options;
  }
  int pid() const { return daemon_.pid(); }

  void kill() { daemon_.end(SIGKILL); }
  void stop() { daemon_.end(SIGTERM); }
  void start() {
    std::vector<std::string> words{"redis-server",
                                   "--port",
                                   "0",
                                   "--unixsocket",
                                   socket(),
                                   "--save",
                                   "",
                                   "--dir",
                                   directory_.path().string()};
    words.insert(words.end(), options_.begin(), options_.end());
    // A port that was free may be taken by now.
    for (int attempt = 0; attempt < 3; ++attempt) {
      std::filesystem::remove(socket());
      daemon_ = Daemon(words, (directory_ / "log").string());
      if (answers()) return;
    }
    throw std::runtime_error("redis-server doesn't start: " + slurp(directory_ / "log"));
  }

  /// What redis-cli prints.
  std::string command(const std::string& words) const {
    const std::string line = "redis-cli -s " + socket() + " " + words + " 2>&1";
    FILE* const pipe = ::popen(line.c_str(), "r");
    std::string text;
    char buffer[4096];
    while (const std::size_t got = std::fread(buffer, 1, sizeof buffer, pipe)) {
      text.append(buffer, got);
    }
    ::pclose(pipe);
    while (text.ends_with('\n')) text.pop_back();
    return text;
  }

 private:
  bool answers() {
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    socket().copy(name.sun_path, sizeof name.sun_path - 1);
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (std::chrono::steady_clock::now() < end && !daemon_.has_ended()) {
      const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
      char reply = 0;
      const bool answered =
          ::connect(fd, reinterpret_cast<const sockaddr*>(&name), sizeof name) == 0 &&
          ::send(fd, "PING\r\n", 6, MSG_NOSIGNAL) == 6 && ::recv(fd, &reply, 1, 0) == 1;
      ::close(fd);
      if (answered) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return false;
  }

  TempDir directory_;
  std::vector<std::string> options_;
  Daemon daemon_;
};

}  // namespace support
