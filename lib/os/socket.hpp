// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <sys/socket.h>

#include <array>
#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include "os/file.hpp"

namespace hoist::detail::os {

/// A connected pair of sockets that keep message boundaries and pass descriptors.
std::pair<Fd, Fd> socket_pair();

/// A socket that is connected to itself: what is sent to it, by whoever has it, is received from
/// it, in order, and nobody else can send to it.
Fd self_connected_socket();

/// Whether a send has failed because there is no room: for bytes, or (ETOOMANYREFS) for descriptors
/// of this user until some are received, which no event tells.
bool has_no_room(int error);

/// Room for the descriptors of a message.
template <std::size_t n>
struct DescriptorRoom {
  alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(sizeof(int) * n)> bytes;
};
/// Adds descriptors to the head of a message.
void attach_descriptors(msghdr& head, std::span<std::byte> room, std::span<const int> fds);
/// Takes those that came with a message.
void take_descriptors(msghdr& head, std::vector<Fd>& fds);

/// Sends one message, waiting while the peer's queue is full. Returns false if the peer is gone;
/// throws SystemError on other failures.
bool send_message(int socket, std::span<const std::byte> bytes, std::span<const int> fds);

/// Likewise, but returns false if the queue is full, or so many descriptors are under way that the
/// system allows no more.
bool try_send_message(int socket, std::span<const std::byte> bytes, std::span<const int> fds);

/// Receives one message of at most `limit` bytes. Returns false if the peer is gone.
bool receive_message(int socket, std::size_t limit, std::vector<std::byte>& bytes,
                     std::vector<Fd>& fds);

}  // namespace hoist::detail::os
