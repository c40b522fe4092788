// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "redis/url.hpp"

struct ssl_st;
struct ssl_ctx_st;

namespace hoist::detail::redis {

/// TLS on a connected socket, whose time limits are those of its waits: TimedOut. The server has to
/// prove its name.
class Tls {
 public:
  /// Shakes hands. Throws BadArgument for files that are of no use, SystemError where the server
  /// isn't the one it should be.
  Tls(int fd, const Url& url);
  Tls(const Tls&) = delete;
  Tls& operator=(const Tls&) = delete;
  ~Tls();

  /// A part of what is there, 0 at the end. Throws SystemError.
  std::size_t read(std::span<std::byte> to);
  /// Writes a part, 0 bytes if the other side is gone. Throws SystemError.
  std::size_t write(std::span<const std::byte> from);
  /// Whether there are bytes that the socket doesn't tell of.
  bool has_more() const;

 private:
  struct FreeContext {
    void operator()(ssl_ctx_st* context) const;
  };
  struct Free {
    void operator()(ssl_st* tls) const;
  };

  /// Where a call has done nothing: returns at the end of the stream, else throws.
  void check_end(int result, const char* what);

  const std::string server_;
  std::unique_ptr<ssl_ctx_st, FreeContext> context_;
  std::unique_ptr<ssl_st, Free> tls_;
};

}  // namespace hoist::detail::redis
