// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/requirements.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

// For programs that are linked with hoist::redis.

namespace hoist {

/// The Redis server of a program's loops.
struct RedisOptions {
  /// "redis://:password@host:port/name" and the like; docs/guide/redis.md has all of it.
  std::string url = {};
  /// Programs and worker hosts of one name meet. Takes the place of the name in the URL.
  std::string name = {};
  /// The authority that signed the server's certificate, a file in PEM. Takes the place of the
  /// URL's `tls_ca`, and is refused like that where the URL doesn't begin with rediss://.
  std::filesystem::path tls_ca = {};
};

/// Says where this process's loops with `.backend = "redis"` find their worker hosts, in place of
/// the environment variable HOIST_URL. To be called before the first of them: BadArgument
/// afterwards, and for a URL that is none, or that has no password where the server is on another
/// machine. Does not connect. Thread-safe.
void use_redis(const RedisOptions& options);

/// A worker host at a Redis server, as it describes itself once a second.
struct RedisWorkerHost {
  std::string id = {};  ///< for end_redis_worker_host
  std::string machine = {};
  int pid = 0;
  unsigned slots = 0;  ///< workers that loops may have there
  unsigned cores = 0;
  std::size_t workers = 0;   ///< processes that there are
  std::size_t programs = 0;  ///< that have it as a host
  std::uint64_t tasks = 0;   ///< that were begun since it was started
  double tasks_per_second = 0;
  std::chrono::seconds age{0};
  bool is_leaving = false;
};

/// The worker hosts that are there now, in no order; those that have not described themselves yet
/// have no pid. Connects. Throws BadArgument for no URL, and what a Redis server that can't be used
/// makes of a loop. Thread-safe.
[[nodiscard]] std::vector<RedisWorkerHost> redis_worker_hosts(const RedisOptions& options);

/// When a worker host leaves that is told to.
enum class HostEnd : unsigned char {
  when_done,  ///< once its workers have run the tasks they have; it gets no others
  now,        ///< as by SIGTERM: what its workers run is run again elsewhere
};

/// Tells a worker host to leave and end. Returns whether it was there. Throws likewise.
/// Thread-safe.
bool end_redis_worker_host(const RedisOptions& options, const std::string& id, HostEnd when);

}  // namespace hoist
