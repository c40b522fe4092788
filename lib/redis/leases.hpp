// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "os/bell.hpp"
#include "os/process_id.hpp"
#include "redis/connection.hpp"
#include "redis/server.hpp"

namespace hoist::detail::redis {

class Leases;

/// Keys on a server that are ours while this lives. Not released by a forked child.
class Lease {
 public:
  Lease(std::shared_ptr<Leases> of, std::vector<std::string> keys, std::string value)
      : of_(std::move(of)), keys_(std::move(keys)), value_(std::move(value)) {}
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;
  ~Lease();

  const std::vector<std::string>& keys() const { return keys_; }
  const std::string& value() const { return value_; }

 private:
  std::shared_ptr<Leases> of_;
  std::vector<std::string> keys_;
  std::string value_;
};

/// What this process has leased from a server: keys that expire unless they are renewed, which a
/// thread of its own does. Thread-safe. A forked child leaves it alone and makes another one.
///
/// The value of a lock names the connection of its holder: whoever waits asks the server whether
/// that is still there, and takes the lock of one that isn't. So a holder that was killed is
/// noticed in a tenth of a second. Where the user may not ask (CLIENT LIST), or a machine has
/// vanished without a word, the end of the lease tells: after a second or ten.
class Leases : public std::enable_shared_from_this<Leases> {
 public:
  explicit Leases(std::shared_ptr<Server> server)
      : server_(std::move(server)), process_(os::own_process()) {}
  Leases(const Leases&) = delete;
  Leases& operator=(const Leases&) = delete;
  ~Leases();

  bool is_inherited() const { return process_ != os::own_process(); }

  /// The lock of that key if nobody has it. Throws what connections throw.
  std::unique_ptr<Lease> try_lock(const std::string& key);
  /// Waits until nobody has it. Throws likewise, and SystemError if leases of this process were
  /// lost meanwhile (a server that was restarted): a circle of waits might not be noticed then.
  std::unique_ptr<Lease> lock(const std::string& key);
  /// Announces under `prefix` that the holder of the locks `held` waits for `wanted`. Null if
  /// whoever has that waits, through others perhaps, for one of these.
  std::unique_ptr<Lease> announce(const std::string& prefix, const std::string& wanted,
                                  const std::vector<std::string>& held);

 private:
  friend class Lease;
  using Clock = std::chrono::steady_clock;

  /// What the thread of these leases sleeps on.
  struct End {
    std::atomic<bool> is_there{false};
    os::Bell bell;
  };

  template <class Work>
  auto with_presence(const Work& work);
  std::unique_ptr<Lease> try_lock(Connection& presence, const std::string& key,
                                  std::string& holder);
  void free_of_dead(Connection& presence, const std::string& key, const std::string& holder);
  std::unique_ptr<Lease> enlist(std::vector<std::string> keys, std::string value);
  void release(const Lease& lease) noexcept;
  bool has_presence() const;
  void open_presence();
  void see_to_renewal();
  bool renew();

  const std::shared_ptr<Server> server_;
  const os::ProcessId process_;
  std::mutex mutex_;
  std::unique_ptr<Connection> presence_;  // all leases are taken through it
  bool may_look_ = true;                  // whether it lives
  std::chrono::milliseconds time_{};      // of a lease
  std::vector<const Lease*> leases_;
  std::atomic<std::uint64_t> losses_{0};
  Clock::time_point renewed_ = {};
  bool is_renewing_ = false;
  const std::shared_ptr<End> end_ = std::make_shared<End>();
};

}  // namespace hoist::detail::redis
