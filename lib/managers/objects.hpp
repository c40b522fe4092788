// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <set>

#include "managers/line.hpp"
#include "managers/turns.hpp"

namespace hoist::detail::managers {

/// An object of this server.
struct Managed {
  std::shared_ptr<void> object;
  Turn turn;  // of who calls it
  std::map<Client, std::uint64_t> references;
  std::chrono::steady_clock::time_point lent_until{};
};

/// The objects of this server. What is removed is destroyed without the mutex: it may hold proxies
/// of others.
class Objects {
 public:
  std::uint64_t add(std::shared_ptr<void> object, Client client);
  /// The first, which stays.
  void add_names(std::shared_ptr<void> object);
  /// Throws NotFound, as retain() and lend() do.
  std::shared_ptr<Managed> find(std::uint64_t number);
  void retain(std::uint64_t number, Client client);
  void lend(std::uint64_t number);
  /// Whether it was the client's last reference.
  bool release(std::uint64_t number, Client client);

  /// A client by the address has come, or gone: as often as it came.
  void enter(Client client);
  void leave(Client client);
  /// Drops the references of clients that are gone, and what nobody needs any more.
  void sweep();

 private:
  using All = std::map<std::uint64_t, std::shared_ptr<Managed>>;

  bool is_there(Client client) const;
  const std::shared_ptr<Managed>& found(std::uint64_t number);
  std::shared_ptr<Managed> take(All::iterator at);

  std::mutex mutex_;
  All all_;
  std::multiset<Client> remote_;
  std::uint64_t last_ = 0;
};

}  // namespace hoist::detail::managers
