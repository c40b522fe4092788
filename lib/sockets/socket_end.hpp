// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/message_queue.hpp>
#include <hoist/detail/socket_stream.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <exception>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "multiprocess/robust_mutex.hpp"
#include "os/file.hpp"
#include "os/fork_hook.hpp"
#include "sockets/message.hpp"

namespace hoist::detail::sockets {

using multiprocess::Clock;
using multiprocess::look_interval;

/// Waits until a descriptor is ready for those poll(2) events, but no longer than 50 ms, so that
/// the caller can look whether it is to go on. False at the deadline.
bool wait_for_socket(int fd, short events, Deadline deadline);

/// A connected socket whose two sides trust each other. Thread-safe: one thread sends and one
/// receives at a time.
class SocketEnd {
 public:
  SocketEnd(os::Fd fd, const MessageRules& rules);
  SocketEnd(const SocketEnd&) = delete;
  SocketEnd& operator=(const SocketEnd&) = delete;

  const MessageRules& rules() const { return rules_; }
  /// False at the deadline; nothing of the message will be received then. Throws EndOfStream if the
  /// other side is gone, BadArgument once this one is closed.
  bool send(OutgoingMessage& message, Deadline deadline);
  /// Null at the deadline; what has come by then is kept. Throws likewise, and DamagedData.
  std::unique_ptr<IncomingMessage> receive(Deadline deadline);
  /// Whether receive() would return or throw at once.
  bool poll(Deadline deadline);
  void close();
  bool is_closed() const { return closed_.load(); }
  int fd() const;

 private:
  using Turn = std::unique_lock<std::timed_mutex>;

  Turn take_turn(std::timed_mutex& mutex, Deadline deadline) const;
  void check_open() const;
  bool wait(short events, Deadline deadline) const;
  bool write(std::vector<iovec>& parts, std::span<const int> fds, Deadline deadline);
  bool send_rest(Deadline deadline);
  void withdraw(std::span<const iovec> parts, bool with_end);
  bool complete(Deadline deadline);
  bool read_message(Deadline deadline);
  void read_some(std::span<std::byte> room, std::size_t& bytes);
  void in_child();

  os::Fd fd_;
  const MessageRules rules_;
  std::atomic<bool> closed_{false};

  std::timed_mutex sending_;
  std::vector<std::byte> rest_;  // of a message that was given up, to be sent before the next

  std::timed_mutex receiving_;
  std::unique_ptr<IncomingMessage> incoming_;
  std::exception_ptr failure_;  // what came is damaged

  std::mutex forking_;
  os::ForkHook hook_{forking_, [this] { in_child(); }};
};

}  // namespace hoist::detail::sockets
