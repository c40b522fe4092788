// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/requirements.hpp>

#include <filesystem>
#include <string>

// For programs that are linked with hoist::redis.

namespace hoist {

/// The Redis server of a program's loops.
struct RedisOptions {
  /// "redis://:password@host:port/name" and the like; docs/guide/redis.md has all of it.
  std::string url = {};
  /// Programs and worker hosts of one name meet. Takes the place of the name in the URL.
  std::string name = {};
  /// The authority that signed the server's certificate, a file in PEM. Takes the place of the
  /// URL's `tls_ca`.
  std::filesystem::path tls_ca = {};
};

/// Says where this process's loops with `.backend = "redis"` find their worker hosts, in place of
/// the environment variable HOIST_URL. To be called before the first of them: BadArgument
/// afterwards, and for a URL that is none, or that has no password where the server is on another
/// machine. Does not connect. Thread-safe.
void use_redis(const RedisOptions& options);

}  // namespace hoist
