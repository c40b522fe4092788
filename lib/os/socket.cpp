// SPDX-License-Identifier: BSD-3-Clause
#include "os/socket.hpp"

#include <hoist/error.hpp>

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>

namespace hoist::detail::os {

namespace {

constexpr std::size_t max_fds = 8;

bool is_gone(int error) { return error == EPIPE || error == ECONNRESET || error == ENOTCONN; }

/// Returns 0 or an errno.
int send_now(int socket, std::span<const std::byte> bytes, std::span<const int> fds) {
  iovec part{const_cast<std::byte*>(bytes.data()), bytes.size()};
  DescriptorRoom<max_fds> room{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (!fds.empty()) attach_descriptors(message, room.bytes, fds);
  while (::sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
    if (errno != EINTR) return errno;
  }
  return 0;
}

}  // namespace

bool has_no_room(int error) {
  return error == EAGAIN || error == EWOULDBLOCK || error == ETOOMANYREFS;
}

void attach_descriptors(msghdr& head, std::span<std::byte> room, std::span<const int> fds) {
  head.msg_control = room.data();
  head.msg_controllen = CMSG_SPACE(fds.size_bytes());
  cmsghdr* const header = CMSG_FIRSTHDR(&head);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(fds.size_bytes());
  std::memcpy(CMSG_DATA(header), fds.data(), fds.size_bytes());
}

void take_descriptors(msghdr& head, std::vector<Fd>& fds) {
  for (cmsghdr* header = CMSG_FIRSTHDR(&head); header != nullptr;
       header = CMSG_NXTHDR(&head, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(header) + i * sizeof fd, sizeof fd);
      fds.emplace_back(fd);
    }
  }
}

Fd self_connected_socket() {
  Fd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  auto* const name = reinterpret_cast<sockaddr*>(&address);
  socklen_t size = sizeof(sa_family_t);  // of no name: the system gives it one
  const bool bound = socket && ::bind(socket.get(), name, size) == 0;
  size = sizeof address;
  if (!bound || ::getsockname(socket.get(), name, &size) != 0 ||
      ::connect(socket.get(), name, size) != 0) {
    throw SystemError("can't make a socket for descriptors", errno);
  }
  return socket;
}

std::pair<Fd, Fd> socket_pair() {
  int pair[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
    throw SystemError("can't make a socket for a worker process", errno);
  }
  return {Fd(pair[0]), Fd(pair[1])};
}

bool send_message(int socket, std::span<const std::byte> bytes, std::span<const int> fds) {
  for (;;) {
    const int error = send_now(socket, bytes, fds);
    if (error == 0) return true;
    if (is_gone(error)) return false;
    if (!has_no_room(error)) throw SystemError("can't send to a worker process", error);
    pollfd ready{socket, static_cast<short>(error != ETOOMANYREFS ? POLLOUT : 0), 0};
    ::poll(&ready, 1, error != ETOOMANYREFS ? -1 : 1);  // also ends if the peer dies
  }
}

bool try_send_message(int socket, std::span<const std::byte> bytes, std::span<const int> fds) {
  const int error = send_now(socket, bytes, fds);
  if (error != 0 && !has_no_room(error)) throw SystemError("can't send to a process", error);
  return error == 0;
}

bool receive_message(int socket, std::size_t limit, std::vector<std::byte>& bytes,
                     std::vector<Fd>& fds) {
  bytes.resize(limit);
  fds.clear();
  iovec part{bytes.data(), bytes.size()};
  DescriptorRoom<max_fds> room;
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = room.bytes.data();
  message.msg_controllen = room.bytes.size();
  ssize_t n = 0;
  do {
    n = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  } while (n < 0 && errno == EINTR);
  if (n == 0 || (n < 0 && is_gone(errno))) return false;
  if (n < 0) throw SystemError("can't receive from a process", errno);
  take_descriptors(message, fds);
  // There is room for as many descriptors as a message may have, so that the system dropped them
  // because this process can't have more.
  if ((message.msg_flags & MSG_CTRUNC) != 0) {
    throw SystemError("can't receive descriptors from a process: too many are open (ulimit -n)",
                      EMFILE);
  }
  if ((message.msg_flags & MSG_TRUNC) != 0) {
    throw DamagedData("a message between processes is longer than its protocol allows");
  }
  bytes.resize(static_cast<std::size_t>(n));
  return true;
}

}  // namespace hoist::detail::os
