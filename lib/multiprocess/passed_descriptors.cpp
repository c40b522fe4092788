// SPDX-License-Identifier: BSD-3-Clause
#include "multiprocess/passed_descriptors.hpp"

#include <hoist/error.hpp>

#include <fcntl.h>
#include <poll.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <span>
#include <utility>

#include "multiprocess/shared_store.hpp"
#include "os/socket.hpp"

namespace hoist::detail::multiprocess {

namespace {

/// What comes with a descriptor.
struct DescriptorHead {
  std::uint64_t tag = 0;
  std::uint64_t index = 0;
};

bool has_input(int socket) {
  pollfd input{socket, POLLIN, 0};
  return ::poll(&input, 1, 0) > 0;
}

}  // namespace

/// Drops the descriptors of messages that were given up, which take the room of others. Only where
/// nothing is in the queue, so that nobody will: who reads drops those before his own. Whether
/// there were any. With the right to write.
bool drop_abandoned(QueueState& state, const RingView& view, int socket) {
  if (view.has_record()) return false;
  const ReadTurn reading(view, Clock::now());
  if (!reading || view.has_record()) return false;
  store(state.signalled, 0U);
  bool any = false;
  while (drop_descriptor(socket)) any = true;
  return any;
}

bool send_descriptors(QueueState& state, const RingView& view, int socket, MessageContent& content,
                      Clock::time_point deadline, const std::function<bool()>& is_off,
                      const std::function<void()>& look) {
  about_to_store();
  DescriptorHead head{++state.last_tag, 0};
  content.set_tag(head.tag, state.outside_sent.load());
  while (head.index < content.descriptors().size()) {
    const int number = content.descriptors()[head.index].get();
    if (!os::try_send_message(socket, std::as_bytes(std::span(&head, 1)), {&number, 1})) {
      if (drop_abandoned(state, view, socket)) {
        head.index = 0;  // those of this message, too
        continue;
      }
      look();
      if (is_off() || Clock::now() >= deadline) return false;
      pollfd room{socket, POLLOUT, 0};
      ::poll(&room, 1, 1);
      continue;
    }
    ++head.index;
  }
  store(state.outside_sent, state.outside_sent.load() + content.outside());
  return true;
}

std::vector<os::Fd> reserve_descriptors(int socket, std::size_t n) {
  std::vector<os::Fd> reserve;
  while (reserve.size() < n) {
    reserve.emplace_back(::fcntl(socket, F_DUPFD_CLOEXEC, 0));
    if (!reserve.back()) {
      throw SystemError("can't receive descriptors: too many are open (ulimit -n)", errno);
    }
  }
  return reserve;
}

void receive_descriptors(QueueState& state, int socket, MessageContent& content,
                         std::vector<os::Fd> reserve) {
  std::vector<std::byte> bytes;
  std::vector<os::Fd> fds;
  for (std::size_t left = content.expected(); left > 0;) {
    DescriptorHead head;
    if (!reserve.empty()) reserve.pop_back();
    if (!has_input(socket) || !os::receive_message(socket, sizeof head, bytes, fds) ||
        bytes.size() != sizeof head) {
      throw DamagedData("a descriptor that should have come with a message didn't");
    }
    std::memcpy(&head, bytes.data(), sizeof head);
    if (fds.empty()) store(state.signalled, 0U);  // it was there for those who poll
    if (fds.size() != 1 || head.tag != content.tag()) continue;
    content.add_descriptor(static_cast<std::size_t>(head.index), std::move(fds.front()));
    --left;
  }
}

bool drop_descriptor(int socket) {
  std::vector<std::byte> bytes;
  std::vector<os::Fd> fds;
  return has_input(socket) && os::receive_message(socket, sizeof(DescriptorHead), bytes, fds);
}

void signal(QueueState& state, int socket) {
  if (state.signalled.load() != 0) return;
  const DescriptorHead nothing;
  os::try_send_message(socket, std::as_bytes(std::span(&nothing, 1)), {});
  store(state.signalled, 1U);
}

}  // namespace hoist::detail::multiprocess
