// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/requirements.hpp>

#include <hoist/detail/connection.hpp>
#include <hoist/detail/deadline.hpp>
#include <hoist/error.hpp>

#include <chrono>
#include <concepts>
#include <cstddef>
#include <functional>
#include <initializer_list>
#include <optional>
#include <ranges>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

// Pipes between two processes or threads, after Python's multiprocessing, and the wait for several
// things at once.
//
// A connection, which is an end of a pipe, is a handle, like a lock (hoist/lock.hpp): copies, and
// what tasks and processes get of it, are the same end. A pipe takes five descriptors. All
// functions may be called from several threads and processes at a time; a message goes to one of
// them.
//
// The end of the stream comes when all processes that have the other end have closed it or died. A
// process has an end by making the pipe, by receiving the end, or by using one that it inherited
// from the process that forked it. An end that is only inherited counts until the last process that
// really had it has died. So close an end that you have given away; who gets it must have received
// it ten seconds after that. The last handle of an end in a process closes it there, too. At most
// 500 processes may have an end.

namespace hoist {

namespace detail {
class SocketStream;
}

struct PipeOptions {
  /// False: the first connection only receives, the second only sends.
  bool duplex = true;
  /// So many bytes may wait in each direction; a larger message goes through all the same, while it
  /// is received.
  std::size_t max_bytes = std::size_t{16} << 20;
};

/// An end of a pipe. It sends messages of type T and receives those of type U: values that tasks
/// take, except pointers and views.
template <class T, class U = T>
class Connection : public detail::ConnectionHandle {
  static_assert(
      detail::is_message<T>() && detail::is_message<U>(),
      "hoist: messages are values that can be sent to another process: structs of values, "
      "or classes with a default constructor and serialize(); no pointers and no views");

 public:
  /// Of no pipe: may be assigned to, everything else throws BadArgument.
  Connection() = default;
  explicit Connection(ConnectionHandle handle) : ConnectionHandle(std::move(handle)) {}

  /// Sends a message, after waiting for room. Throws EndOfStream if nobody will receive it;
  /// CannotTravel for what can't be sent; BadArgument if this end is closed or only receives.
  void send(const T& message) const { send_until(message, detail::Deadline::max()); }
  /// Likewise. Throws Full if there is no room in time.
  template <class Rep, class Period>
  void send(const T& message, std::chrono::duration<Rep, Period> timeout) const {
    send_until(message, detail::deadline_after(timeout));
  }
  /// Receives a message, after waiting for one. Throws EndOfStream if none is left and none will
  /// come; WrongType if the next was sent by send_bytes(), and drops it.
  U recv() const { return recv_until(detail::Deadline::max()); }
  /// Likewise. Throws Empty if none comes in time.
  template <class Rep, class Period>
  U recv(std::chrono::duration<Rep, Period> timeout) const {
    return recv_until(detail::deadline_after(timeout));
  }
  /// The next message, if there is one now.
  [[nodiscard]] std::optional<U> try_recv() const {
    return detail::get_value<U>(in(), detail::Deadline(), &peers());
  }
  /// Whether recv() would return or throw at once.
  [[nodiscard]] bool poll() const { return poll_until(detail::Deadline()); }
  /// Likewise; waits up to that time until it would.
  template <class Rep, class Period>
  [[nodiscard]] bool poll(std::chrono::duration<Rep, Period> timeout) const {
    return poll_until(detail::deadline_after(timeout));
  }

  /// Sends bytes as they are, to be received by recv_bytes(). Errors as of send().
  void send_bytes(std::span<const std::byte> bytes) const {
    put_bytes(bytes, detail::Deadline::max());
  }
  void send_bytes(std::string_view text) const { send_bytes(std::as_bytes(std::span(text))); }
  template <class Rep, class Period>
  void send_bytes(std::span<const std::byte> bytes,
                  std::chrono::duration<Rep, Period> timeout) const {
    put_bytes(bytes, detail::deadline_after(timeout));
  }
  /// Receives them. Throws WrongType if the next message was sent by send(), and drops it.
  std::vector<std::byte> recv_bytes() const { return get_bytes(detail::Deadline::max()); }
  template <class Rep, class Period>
  std::vector<std::byte> recv_bytes(std::chrono::duration<Rep, Period> timeout) const {
    return get_bytes(detail::deadline_after(timeout));
  }
  /// Receives them into that memory; returns how many there were. Throws BufferTooShort, which has
  /// the message, if they are more.
  std::size_t recv_bytes_into(std::span<std::byte> to) const { return get_bytes_into(to); }

  /// Closes this end for this process: all copies that it has. Others may still have it. Nothing
  /// the second time. Wakes those who wait at the other end, not those who wait at this one.
  void close() const { leave(); }
  [[nodiscard]] bool closed() const { return has_left(); }
  /// A descriptor that poll(2) and the like find readable when there is something to receive. Only
  /// to be waited for, and with a time limit: it does not tell that those at the other end have
  /// died, and may be readable for nothing; poll() knows.
  [[nodiscard]] int fileno() const { return watched_fd(); }

 private:
  void send_until(const T& message, detail::Deadline deadline) const {
    if (!detail::put_value<T>(out(), message, deadline, &peers())) throw_full();
  }
  U recv_until(detail::Deadline deadline) const {
    auto message = detail::get_value<U>(in(), deadline, &peers());
    if (!message) throw_empty();
    return *std::move(message);
  }
};

/// Makes a pipe and returns its ends: one that sends T and receives U, and one for the opposite.
/// Throws SystemError where there is no memory or no descriptor left.
template <class T, class U = T>
std::pair<Connection<T, U>, Connection<U, T>> Pipe(const PipeOptions& options = {}) {
  auto [first, second] = detail::ConnectionHandle::make(options.duplex, options.max_bytes);
  return {Connection<T, U>(std::move(first)), Connection<U, T>(std::move(second))};
}

/// What wait_any() waits for: a connection or queue that has something or never will, the end of a
/// process, a readable descriptor.
class Waitable {
 public:
  Waitable(const detail::ConnectionHandle& connection);  // implicit, as in wait_any({a, b})
  Waitable(const detail::MessageQueue& queue);
  Waitable(const detail::SocketStream& stream);  // a connection of hoist/listener.hpp
  Waitable(int fd) : fd_(fd) {}
  /// A Listener at which somebody connects, and whatever else has a descriptor.
  template <class P>
    requires(!std::derived_from<P, detail::SharedHandle> &&
             !std::derived_from<P, detail::SocketStream>) &&
            requires(const P& other) {
              { other.fileno() } -> std::convertible_to<int>;
            }
  Waitable(const P& other) : fd_(other.fileno()) {}
  template <class P>
    requires requires(const P& process) {
      { process.sentinel() } -> std::convertible_to<int>;
    }
  Waitable(const P& process) : fd_(process.sentinel()) {}

 private:
  friend std::vector<std::size_t> wait_until_any(std::span<const Waitable> all,
                                                 detail::Deadline deadline);
  bool is_ready() const;
  void settle() const;

  int fd_;
  std::optional<detail::MessageQueue> queue_;
  std::optional<detail::ConnectionHandle> connection_;
  std::function<bool()> poll_;  // of a socket
};

/// Waits until one of them is ready; returns the places of those that are, in order. Several
/// processes may wait for one thing, and all are told. Throws SystemError for what is no
/// descriptor.
std::vector<std::size_t> wait_until_any(std::span<const Waitable> all, detail::Deadline deadline);
inline std::vector<std::size_t> wait_any(std::initializer_list<Waitable> all) {
  return wait_until_any({all.begin(), all.size()}, detail::Deadline::max());
}
/// The elements of a range: connections, processes, ...
template <std::ranges::input_range R>
  requires std::convertible_to<std::ranges::range_reference_t<const R&>, Waitable>
std::vector<std::size_t> wait_any(const R& all) {
  return wait_until_any(std::vector<Waitable>(std::ranges::begin(all), std::ranges::end(all)),
                        detail::Deadline::max());
}
/// Likewise; none if the time is over first.
template <std::ranges::input_range R, class Rep, class Period>
  requires std::convertible_to<std::ranges::range_reference_t<const R&>, Waitable>
std::vector<std::size_t> wait_any(const R& all, std::chrono::duration<Rep, Period> timeout) {
  return wait_until_any(std::vector<Waitable>(std::ranges::begin(all), std::ranges::end(all)),
                        detail::deadline_after(timeout));
}
template <class Rep, class Period>
std::vector<std::size_t> wait_any(std::initializer_list<Waitable> all,
                                  std::chrono::duration<Rep, Period> timeout) {
  return wait_until_any({all.begin(), all.size()}, detail::deadline_after(timeout));
}

}  // namespace hoist
