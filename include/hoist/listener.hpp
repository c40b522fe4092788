// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/requirements.hpp>

#include <hoist/connection.hpp>
#include <hoist/detail/async.hpp>
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

/// Options of a Listener.
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

/// Options of `connect`.
struct ConnectOptions {
  /// As for the listener.
  std::optional<std::string> authkey = {};
  bool any_program = false;
  std::size_t max_message_bytes = std::size_t{1} << 30;
  /// For all of it, also to look up a name: until then, connect() tries again where nobody listens.
  std::chrono::milliseconds timeout = std::chrono::seconds(20);
};

/// A connection by a socket, whose functions hoist/connection.hpp has. By the path of a socket,
/// locks, queues and other handles go, too. What is sent has been handed to the system.
///
/// Receiving throws WrongType also for what a connection of other types has sent, and drops it;
/// DamagedData, and ends the stream, for what is no message; LimitExceeded, which is a DamagedData,
/// for one above max_message_bytes. Who waits in another thread gets BadArgument when it is closed
/// here.
///
/// It can't be sent. A forked child has it, too: close it in the process that doesn't use it, as
/// the stream ends when all have.
template <class T, class U = T>
class SocketConnection : public MessageConnection<detail::SocketStream, T, U> {
 public:
  using MessageConnection<detail::SocketStream, T, U>::MessageConnection;

  /// As recv(), for coroutines and other completion tokens: see hoist/asio.hpp. It does not notice
  /// a close() of this side: cancel it before.
  template <class Token = detail::DefaultToken>
  auto async_recv(Token&& token = {}) const {
    return detail::async<Token>().recv(*this, token);
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
  State& state() const;

  std::unique_ptr<State> state_;
};

namespace detail {

/// `may_come`: it is tried again where nobody listens.
SocketStream connect_stream(const std::string& address, const ConnectOptions& options,
                            bool may_come = true);

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
