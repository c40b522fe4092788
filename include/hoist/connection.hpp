// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/requirements.hpp>

#include <hoist/detail/deadline.hpp>
#include <hoist/detail/message_queue.hpp>
#include <hoist/error.hpp>

#include <chrono>
#include <cstddef>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace hoist {

/// What connections do, whether by a pipe (Connection in hoist/pipe.hpp) or by a socket
/// (SocketConnection in hoist/listener.hpp): send messages of type T and receive those of type U.
/// These are values that tasks take, except pointers and views. Messages arrive whole and in order.
/// All functions may be called from several threads at a time; a message goes to one of them.
///
/// All that send throw EndOfStream if nobody will receive it, and BadArgument once this end is
/// closed here; all that receive throw EndOfStream if no message is left and none will come.
template <class Base, class T, class U>
class MessageConnection : public Base {
  static_assert(
      detail::is_message<T>() && detail::is_message<U>(),
      "hoist: messages are values that can be sent to another process: structs of values, "
      "or classes with a default constructor and serialize(); no pointers and no views");

 public:
  /// Of nothing: may be assigned to, and is closed.
  MessageConnection() = default;
  explicit MessageConnection(Base base) : Base(std::move(base)) {}

  /// Sends a message, after waiting for room. Throws CannotTravel for what can't be sent.
  void send(const T& message) const { send_until(message, detail::Deadline::max()); }
  /// Likewise. Throws Full if there is no room in time; then nothing of it is received.
  template <class Rep, class Period>
  void send(const T& message, std::chrono::duration<Rep, Period> timeout) const {
    send_until(message, detail::deadline_after(timeout));
  }
  /// Receives a message, after waiting for one. Throws WrongType if the next was sent by
  /// send_bytes(), and drops it.
  U recv() const { return recv_until(detail::Deadline::max()); }
  /// Likewise. Throws Empty if none comes in time. The limit is for the beginning of a message that
  /// goes through a pipe, and for all of one that goes through a socket, which is kept as far as it
  /// has come.
  template <class Rep, class Period>
  U recv(std::chrono::duration<Rep, Period> timeout) const {
    return recv_until(detail::deadline_after(timeout));
  }
  /// The next message, if there is one now.
  [[nodiscard]] std::optional<U> try_recv() const {
    return Base::template get_value<U>(detail::Deadline());
  }
  /// Whether recv() would return or throw at once.
  [[nodiscard]] bool poll() const { return Base::poll_until(detail::Deadline()); }
  /// Likewise; waits up to that time until it would.
  template <class Rep, class Period>
  [[nodiscard]] bool poll(std::chrono::duration<Rep, Period> timeout) const {
    return Base::poll_until(detail::deadline_after(timeout));
  }

  /// Sends bytes as they are, to be received by recv_bytes(). Throws Full as send() does.
  void send_bytes(std::span<const std::byte> bytes) const {
    Base::put_bytes(bytes, detail::Deadline::max());
  }
  void send_bytes(std::string_view text) const { send_bytes(std::as_bytes(std::span(text))); }
  template <class Rep, class Period>
  void send_bytes(std::span<const std::byte> bytes,
                  std::chrono::duration<Rep, Period> timeout) const {
    Base::put_bytes(bytes, detail::deadline_after(timeout));
  }
  /// Receives them. Throws WrongType if the next message was sent by send(), and drops it; Empty as
  /// recv() does.
  std::vector<std::byte> recv_bytes() const { return Base::get_bytes(detail::Deadline::max()); }
  template <class Rep, class Period>
  std::vector<std::byte> recv_bytes(std::chrono::duration<Rep, Period> timeout) const {
    return Base::get_bytes(detail::deadline_after(timeout));
  }
  /// Receives them into that memory; returns how many there were. Throws BufferTooShort, which has
  /// the message, if they are more.
  std::size_t recv_bytes_into(std::span<std::byte> to) const {
    return Base::get_bytes_into(to, detail::Deadline::max());
  }
  template <class Rep, class Period>
  std::size_t recv_bytes_into(std::span<std::byte> to,
                              std::chrono::duration<Rep, Period> timeout) const {
    return Base::get_bytes_into(to, detail::deadline_after(timeout));
  }

  /// Closes this end for this process: all copies that it has. Nothing the second time.
  void close() const { Base::leave(); }
  [[nodiscard]] bool closed() const { return Base::has_left(); }
  /// A descriptor for poll(2) and the like, only to be waited for, and with a time limit. It may be
  /// readable for nothing, and need not be for a message that poll() or an earlier recv() has taken
  /// in, or for the death of those at the other end: ask poll() first. wait_any() does.
  [[nodiscard]] int fileno() const { return Base::watched_fd(); }

 private:
  void send_until(const T& message, detail::Deadline deadline) const {
    if (!Base::template put_value<T>(message, deadline)) Base::throw_full();
  }
  U recv_until(detail::Deadline deadline) const {
    auto message = Base::template get_value<U>(deadline);
    if (!message) Base::throw_empty();
    return *std::move(message);
  }
};

}  // namespace hoist
