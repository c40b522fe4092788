// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/requirements.hpp>

#include <hoist/detail/deadline.hpp>
#include <hoist/detail/socket_stream.hpp>
#include <hoist/detail/travel.hpp>
#include <hoist/error.hpp>

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// Connections between programs that were started by themselves, on one machine or several, after
// Python's multiprocessing.connection.
//
// An address is the path of a socket ("/run/user/1000/job", anything with a slash), which only the
// same user can connect to, or "host:port" ("127.0.0.1:5000", "[::1]:5000", "localhost:5000"),
// where both sides need the same secret key. Before any message, each proves to the other that it
// has the key and is the same build of the same program.
//
// Who has the key can run code in the other process, as functions and the layout of classes are
// taken at their word. What is sent is neither encrypted nor protected against changes on its way:
// across networks that others use, connect through a tunnel (ssh).

namespace hoist {

/// The other side has no key or another one, or is another program or another build of it, or what
/// it sends belongs to no such handshake.
class AuthenticationError : public Error {
 public:
  using Error::Error;
};

struct ListenerOptions {
  /// The secret that both sides have: at least 16 random bytes are advised, and none in the source.
  /// Needed for "host:port".
  std::optional<std::string> authkey = {};
  /// Whether other programs may connect, if they allow that, too. Then only values go to and fro:
  /// no functions, no handles, no structs with pointers or C arrays.
  bool any_program = false;
  /// A longer message is refused when it is announced.
  std::size_t max_message_bytes = std::size_t{1} << 30;
  /// Who has not proved by then that it has the key is dropped.
  std::chrono::milliseconds handshake_timeout = std::chrono::seconds(10);
};

struct ConnectOptions {
  /// As for the listener.
  std::optional<std::string> authkey = {};
  bool any_program = false;
  std::size_t max_message_bytes = std::size_t{1} << 30;
  /// For all of it: until then, connect() tries again where nobody listens yet.
  std::chrono::milliseconds timeout = std::chrono::seconds(20);
};

/// A connection that sends messages of type T and receives those of type U: values that tasks take,
/// except pointers and views. By the path of a socket, locks, queues and other handles go, too.
///
/// Its functions are those of Connection (hoist/pipe.hpp), and may be called from several threads
/// at a time. Copies are the same connection. It can't be sent. A forked child has it, too: close
/// it in the process that doesn't use it, as the stream ends when all have.
template <class T, class U = T>
class SocketConnection : public detail::SocketStream {
  static_assert(
      detail::is_message<T>() && detail::is_message<U>(),
      "hoist: messages are values that can be sent to another process: structs of values, "
      "or classes with a default constructor and serialize(); no pointers and no views");

 public:
  /// Of nothing: may be assigned to, and is closed.
  SocketConnection() = default;
  explicit SocketConnection(SocketStream stream) : SocketStream(std::move(stream)) {}

  /// Sends a message: hands it to the system, after waiting for room. Throws EndOfStream if the
  /// other side is gone; CannotTravel for what can't be sent; BadArgument if it is closed here.
  void send(const T& message) const { send_until(message, detail::Deadline::max()); }
  /// Likewise. Throws Full if there was no room for all of it in time; the other side then receives
  /// nothing of it.
  template <class Rep, class Period>
  void send(const T& message, std::chrono::duration<Rep, Period> timeout) const {
    send_until(message, detail::deadline_after(timeout));
  }
  /// Receives a message, after waiting for one. Throws EndOfStream if the other side has closed the
  /// connection or died; WrongType for what send_bytes() or a connection of other types has sent,
  /// and drops it; DamagedData, and ends the stream, for what is no message; LimitExceeded, which
  /// is one, for one above max_message_bytes.
  U recv() const { return recv_until(detail::Deadline::max()); }
  /// Likewise. Throws Empty if none is complete in time; what is there of one is kept for the next
  /// call.
  template <class Rep, class Period>
  U recv(std::chrono::duration<Rep, Period> timeout) const {
    return recv_until(detail::deadline_after(timeout));
  }
  /// Whether recv() would return or throw at once. Takes in what has come.
  [[nodiscard]] bool poll() const { return poll_until(detail::Deadline()); }
  /// Likewise; waits up to that time until it would.
  template <class Rep, class Period>
  [[nodiscard]] bool poll(std::chrono::duration<Rep, Period> timeout) const {
    return poll_until(detail::deadline_after(timeout));
  }

  /// Sends bytes as they are, to be received by recv_bytes(). Errors as of send().
  void send_bytes(std::span<const std::byte> bytes) const { put_bytes(bytes); }
  void send_bytes(std::string_view text) const { put_bytes(std::as_bytes(std::span(text))); }
  /// Receives them. Throws WrongType if the next message was sent by send(), and drops it.
  std::vector<std::byte> recv_bytes() const { return get_bytes(); }
  /// Receives them into that memory; returns how many there were. Throws BufferTooShort, which has
  /// the message, if they are more.
  std::size_t recv_bytes_into(std::span<std::byte> to) const { return get_bytes_into(to); }

  /// Closes it in this process: all copies. Who waits in another thread gets BadArgument.
  void close() const { leave(); }
  [[nodiscard]] bool closed() const { return has_left(); }
  /// The socket, only to be waited for. A message that poll() or a recv() whose time was over has
  /// taken in makes it readable no more: ask poll() first. wait_any() does.
  [[nodiscard]] int fileno() const { return watched_fd(); }

 private:
  void send_until(const T& message, detail::Deadline deadline) const {
    detail::MessageRoom room;
    detail::send<T>(room.encoder(), message);
    if (!put(room.encoder(), detail::message_type<T>(), deadline)) throw_full();
  }
  U recv_until(detail::Deadline deadline) const {
    const auto source = get(detail::message_type<U>(), deadline);
    if (source == nullptr) throw_empty();
    detail::Decoder decoder(*source);
    detail::Received<U> received(decoder);
    decoder.finish();
    return std::move(received.get());
  }
};

/// Waits for connections at an address. Its functions may be called from several threads at a time.
/// A forked child has it, too, and may accept connections; only its maker removes a socket's path.
class Listener {
 public:
  /// Listens from now on. The path must be free or left by a listener that died; with port 0 the
  /// system chooses one, see address(). Throws SystemError, as when another listener has the
  /// address (EADDRINUSE); BadArgument for what is no address, and for "host:port" without a key.
  explicit Listener(const std::string& address, const ListenerOptions& options = {});
  Listener(Listener&& other) noexcept;
  Listener& operator=(Listener&& other) noexcept;
  ~Listener();

  /// Returns the next connection whose other side has proved who it is, after waiting for one.
  ///
  /// Throws AuthenticationError for one that has not the key or is another program; call it again
  /// for the others. Who says nothing, or nonsense, holds up nobody: at most 64 are in the
  /// handshake at a time, each for a few hundred bytes, and the oldest has to leave for the next.
  /// Throws Closed once the listener is closed here; SystemError where no descriptor is left.
  template <class T, class U = T>
  SocketConnection<T, U> accept() const {
    return SocketConnection<T, U>(accept_until(detail::Deadline::max()));
  }
  /// Likewise. Throws TimedOut if there is none in time.
  template <class T, class U = T, class Rep, class Period>
  SocketConnection<T, U> accept(std::chrono::duration<Rep, Period> timeout) const {
    return SocketConnection<T, U>(accept_until(detail::deadline_after(timeout)));
  }

  /// Where to connect to, with the port that it has.
  [[nodiscard]] std::string address() const;
  /// Ends it in this process, and removes the path of its socket. Connections stay.
  void close() const;
  [[nodiscard]] bool closed() const;
  /// A descriptor that is readable when somebody has connected, whose handshake accept() then
  /// waits for: call it with a time limit.
  [[nodiscard]] int fileno() const;

 private:
  detail::SocketStream accept_until(detail::Deadline deadline) const;

  class State;
  std::unique_ptr<State> state_;
};

namespace detail {

SocketStream connect_stream(const std::string& address, const ConnectOptions& options);

}  // namespace detail

/// Connects to a listener. Throws TimedOut if that takes too long, SystemError if nobody listens
/// there all the while or the host can't be reached, NotFound for a host that isn't known (the
/// system looks it up, and takes its own time); AuthenticationError, on both sides, where the keys
/// or the programs differ; DamagedData for what is no listener; BadArgument as Listener does.
template <class T, class U = T>
SocketConnection<T, U> connect(const std::string& address, const ConnectOptions& options = {}) {
  return SocketConnection<T, U>(detail::connect_stream(address, options));
}

}  // namespace hoist
