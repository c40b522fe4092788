// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/requirements.hpp>

#include <hoist/connection.hpp>
#include <hoist/detail/async.hpp>
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
#include <utility>
#include <vector>

// Pipes between two processes or threads, after Python's multiprocessing, and the wait for several
// things at once.
//
// A connection, which is an end of a pipe, is a handle, like a lock (hoist/lock.hpp): copies, and
// what tasks and processes get of it, are the same end. A pipe takes five descriptors.
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

/// Options of a Pipe.
struct PipeOptions {
  /// False: the first connection only receives, the second only sends.
  bool duplex = true;
  /// So many bytes may wait in each direction; a larger message goes through all the same, while it
  /// is received.
  std::size_t max_bytes = std::size_t{16} << 20;
};

/// An end of a pipe, whose functions hoist/connection.hpp has. One that only receives, or only
/// sends, throws BadArgument where it is used for the other. close() leaves the end to other
/// processes that have it; it wakes those who wait at the other end, not those who wait at this
/// one.
template <class T, class U = T>
class Connection : public MessageConnection<detail::ConnectionHandle, T, U> {
 public:
  using MessageConnection<detail::ConnectionHandle, T, U>::MessageConnection;

  /// As recv(), for coroutines and other completion tokens: see hoist/asio.hpp.
  template <class Token = detail::DefaultToken>
  auto async_recv(Token&& token = {}) const {
    return detail::async<Token>().recv(*this, token);
  }
};

/// Makes a pipe and returns its ends: one that sends T and receives U, and one for the opposite.
/// Throws SystemError where there is no memory or no descriptor left.
template <class T, class U = T>
std::pair<Connection<T, U>, Connection<U, T>> Pipe(  // NOLINT(readability-identifier-naming)
    const PipeOptions& options = {}) {
  auto [first, second] = detail::ConnectionHandle::make(options.duplex, options.max_bytes);
  return {Connection<T, U>(std::move(first)), Connection<U, T>(std::move(second))};
}

/// What wait_any() waits for: a connection or queue that has something or never will, the end of a
/// process, a listener at which somebody connects, a readable descriptor. Made where one of these
/// is an argument. A descriptor must stay open as long as it is waited for.
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

/// Waits until one of them is ready; returns the places of those that are, counted from 0 and in
/// order. Several processes may wait for one thing, and all are told; whoever reads first gets it,
/// so that another may find nothing. A peer that has died is noticed within 50 ms. Throws
/// SystemError for what is no descriptor, BadArgument for a connection that is closed here.
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
