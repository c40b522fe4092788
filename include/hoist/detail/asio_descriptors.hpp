// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/asio_result.hpp>
#include <hoist/error.hpp>
#include <hoist/process.hpp>

#include <boost/asio/append.hpp>
#include <boost/asio/cancellation_state.hpp>
#include <boost/asio/compose.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/system/system_error.hpp>

#include <fcntl.h>

#include <cerrno>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

// The waits that Asio itself can do: for the descriptors of processes and sockets.

namespace hoist {

template <class T, class U>
class SocketConnection;

namespace detail {

using WatchedDescriptor = asio::posix::stream_descriptor;

/// A duplicate, since Asio closes it, and wants one for each wait.
template <class Executor>
std::shared_ptr<WatchedDescriptor> watched(const Executor& executor, int fd, const char* what) {
  const int copy = ::fcntl(fd, F_DUPFD_CLOEXEC, 0);
  if (copy < 0) throw SystemError(std::string("can't duplicate the descriptor of ") + what, errno);
  return std::make_shared<WatchedDescriptor>(executor, copy);
}

class JoinProcess {
 public:
  explicit JoinProcess(const ProcessHandle& process) : process_(&process) {}

  template <class Self>
  void operator()(Self& self) {
    self.reset_cancellation_state(asio::enable_total_cancellation());
    try {
      sentinel_ = watched(self.get_executor(), process_->sentinel(), "a process");
    } catch (...) {
      error_ = std::current_exception();
      asio::post(asio::append(std::move(self), boost::system::error_code()));
      return;
    }
    WatchedDescriptor& sentinel = *sentinel_;
    sentinel.async_wait(WatchedDescriptor::wait_read, std::move(self));
  }
  template <class Self>
  void operator()(Self& self, boost::system::error_code code) {
    std::exception_ptr error = std::move(error_);
    if (code) error = std::make_exception_ptr(boost::system::system_error(code));
    sentinel_.reset();
    self.complete(std::move(error));
  }

 private:
  const ProcessHandle* process_;
  std::shared_ptr<WatchedDescriptor> sentinel_;
  std::exception_ptr error_;
};

template <class Token>
auto join_process(const ProcessHandle& process, Token&& token) {
  return asio::async_compose<Token, void(std::exception_ptr)>(JoinProcess(process), token);
}

template <class T, class U>
class RecvFromSocket {
 public:
  explicit RecvFromSocket(SocketConnection<T, U> connection) : connection_(std::move(connection)) {}

  template <class Self>
  void operator()(Self& self) {
    self.reset_cancellation_state(asio::enable_total_cancellation());
    if (try_it()) {
      asio::post(asio::append(std::move(self), boost::system::error_code()));
    } else {
      wait(self);
    }
  }
  template <class Self>
  void operator()(Self& self, boost::system::error_code code) {
    if (code) error_ = std::make_exception_ptr(boost::system::system_error(code));
    if (!error_ && !value_ && !try_it()) return wait(self);
    socket_.reset();
    if constexpr (std::is_same_v<Passed<U>, U>) {
      if (!value_) value_.emplace();
      self.complete(std::move(error_), *std::move(value_));
    } else {
      self.complete(std::move(error_), std::move(value_));
    }
  }

 private:
  bool try_it() {
    try {
      value_ = connection_.try_recv();
    } catch (...) {
      error_ = std::current_exception();
    }
    return value_ || error_;
  }
  template <class Self>
  void wait(Self& self) {
    try {
      if (!socket_) socket_ = watched(self.get_executor(), connection_.fileno(), "a connection");
    } catch (...) {
      error_ = std::current_exception();
      asio::post(asio::append(std::move(self), boost::system::error_code()));
      return;
    }
    WatchedDescriptor& socket = *socket_;
    socket.async_wait(WatchedDescriptor::wait_read, std::move(self));
  }

  SocketConnection<T, U> connection_;
  std::shared_ptr<WatchedDescriptor> socket_;
  std::optional<U> value_;
  std::exception_ptr error_;
};

template <class T, class U>
struct InitiateRecv {
  template <class Handler>
  void operator()(Handler&& handler, SocketConnection<T, U> connection) const {
    asio::async_compose<Handler, typename SignatureFor<U>::type>(
        RecvFromSocket<T, U>(std::move(connection)), handler);
  }
};

}  // namespace detail

}  // namespace hoist
