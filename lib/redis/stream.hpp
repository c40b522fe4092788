// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <sys/uio.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "base/byte_streams.hpp"
#include "os/file.hpp"
#include "os/process_id.hpp"
#include "redis/url.hpp"

namespace hoist::detail::redis {

/// What a TLS connection has beside its socket.
class Tls;

/// A connection to a server as bytes, by TLS where the URL says so. No wait for the other side is
/// longer than the URL's `timeout` without a byte: TimedOut then. A forked child closes its copy,
/// since the server would otherwise take the connection for one that lives.
class Stream final : public base::PeekableSource {
 public:
  /// Connects. Throws TimedOut, NotFound for an unknown host, SystemError, BadArgument for files of
  /// TLS that are of no use.
  explicit Stream(const Url& url);
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  ~Stream() override;

  /// Writes all of the parts, which it uses up. Throws EndOfStream, TimedOut, SystemError.
  void write(std::vector<iovec> parts);
  /// Whether nothing has come that wasn't read, not even the end.
  bool is_quiet() const;
  int fd() const { return fd_.get(); }

 private:
  /// A part of what is there; 0 at the end.
  std::size_t fetch(std::byte* to, std::size_t n) override;
  bool is_inherited() const { return process_ != os::own_process(); }
  void check_process() const;

  const os::ProcessId process_;
  os::Fd fd_;
  std::unique_ptr<Tls> tls_;
};

}  // namespace hoist::detail::redis
