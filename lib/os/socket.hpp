// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include "os/file.hpp"

namespace hoist::detail::os {

/// A connected pair of sockets that keep message boundaries and pass descriptors.
std::pair<Fd, Fd> socket_pair();

/// Sends one message, waiting while the peer's queue is full. Returns false if the peer is gone;
/// throws SystemError on other failures.
bool send_message(int socket, std::span<const std::byte> bytes, std::span<const int> fds);

/// Receives one message of at most `limit` bytes. Returns false if the peer is gone.
bool receive_message(int socket, std::size_t limit, std::vector<std::byte>& bytes,
                     std::vector<Fd>& fds);

}  // namespace hoist::detail::os
