// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/message_queue.hpp>

#include <sys/stat.h>

#include <optional>
#include <string>
#include <string_view>

#include "os/file.hpp"

namespace hoist::detail::sockets {

/// "host:port", or the path of a socket.
class SocketAddress {
 public:
  /// Throws BadArgument for what is neither.
  explicit SocketAddress(const std::string& text);

  bool is_path() const { return port_.empty(); }
  /// As it was given.
  const std::string& text() const { return text_; }
  const std::string& path() const { return text_; }
  /// Without brackets.
  const std::string& host() const { return host_; }
  const std::string& port() const { return port_; }
  /// The same host, with that port.
  std::string with_port(unsigned port) const;

 private:
  std::string text_;
  std::string host_;
  std::string port_;
};

/// A socket that listens. None of its functions waits for others, but for the moment in which
/// another listener takes its place in the same directory.
class ListeningSocket {
 public:
  /// Throws SystemError.
  explicit ListeningSocket(const SocketAddress& address);

  int fd() const { return fd_.get(); }
  /// With the port that it has.
  const std::string& address() const { return address_; }
  /// The next that has connected, as a socket that doesn't block; none if nobody has. Throws
  /// SystemError where no descriptor is left.
  os::Fd accept() const;
  /// `removes_path`: as its owner, not as a forked child.
  void close(bool removes_path);

 private:
  void listen_at_path(const std::string& path);
  void listen_at_port(const SocketAddress& address);

  os::Fd fd_;
  std::string address_;
  std::string path_;
  struct stat file_{};  // at the path
};

/// Connects, as often as somebody may come to listen in time. Throws TimedOut, SystemError.
os::Fd connect_socket(const SocketAddress& address, Deadline deadline);
/// Connects if somebody listens now. Throws likewise, and NotFound for an unknown host.
os::Fd connect_once(const SocketAddress& address, Deadline deadline);

/// Sets what connections need. For sockets of both kinds.
void prepare_connection(int fd);
/// "process 123" or "127.0.0.1:5000".
std::string peer_name(int fd);
/// The user of the process at the other end of a socket with a path.
std::optional<uid_t> peer_user(int fd);

}  // namespace hoist::detail::sockets
