// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <sys/socket.h>

#include <stdexcept>
#include <string>
#include <vector>

#include "sockets/address.hpp"

namespace support {

/// A port at which nothing is answered, as on a machine that has vanished: the queue of those who
/// want to connect is full.
class SilentPort {
 public:
  explicit SilentPort(const std::string& address)
      : socket_(hoist::detail::sockets::SocketAddress(address)) {
    using namespace std::chrono_literals;
    ::listen(socket_.fd(), 0);
    const hoist::detail::sockets::SocketAddress own(socket_.address());
    try {
      for (int i = 0; i < 100; ++i) {
        waiting_.push_back(
            hoist::detail::sockets::connect_once(own, hoist::detail::deadline_after(100ms)));
      }
    } catch (const hoist::TimedOut&) {
      return;
    }
    throw std::runtime_error("a port takes everybody");
  }

  const std::string& address() const { return socket_.address(); }

 private:
  hoist::detail::sockets::ListeningSocket socket_;
  std::vector<hoist::detail::os::Fd> waiting_;
};

}  // namespace support
