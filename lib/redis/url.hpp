// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/redis.hpp>

#include <chrono>
#include <optional>
#include <string>

#include "sockets/address.hpp"

namespace hoist::detail::redis {

/// Where a Redis server is, and what of it is ours:
///
///   redis://[[USER]:PASSWORD@]HOST[:PORT][/DATABASE][/NAME][?OPTION=VALUE&...]
///   rediss://...  the same by TLS
///   unix://[[USER]:PASSWORD@]/PATH/OF/SOCKET[?db=DATABASE&name=NAME&...]
struct Url {
  /// Throws BadArgument for what is none, and where who listens would not have to prove anything:
  /// without a password, unless the server is on this machine or HOIST_INSECURE=1 is set.
  /// `own_name` takes the place of the name in the text.
  explicit Url(const std::string& text, const std::string& own_name = {});

  sockets::SocketAddress address;
  std::string server = {};  ///< its scheme and address, for messages
  bool tls = false;
  std::string user = {};
  std::string password = {};
  unsigned database = 0;
  std::string name = {};  ///< of what is ours on the server
  /// What all keys of ours begin with, which are in one slot of a cluster by it.
  std::string front() const { return "{hoist:" + name + "}:"; }
  /// `tls_ca`, `tls_cert`, `tls_key`: files in PEM. Without the first the system's authorities.
  std::string tls_ca = {};
  std::string tls_cert = {};
  std::string tls_key = {};
  /// `timeout`: so many seconds the server may be silent when it should answer.
  std::chrono::milliseconds timeout = std::chrono::seconds(10);
  /// `ttl`: so many seconds an entry of a cache is kept unused.
  std::chrono::milliseconds ttl = std::chrono::hours(30 * 24);
};

/// Throws likewise.
Url url_of(const RedisOptions& options);

/// Whether a text begins with one of the schemes.
bool is_url(const std::string& text);

}  // namespace hoist::detail::redis
