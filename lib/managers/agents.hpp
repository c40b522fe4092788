// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/shared_proxy.hpp>

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>

#include "managers/line.hpp"
#include "managers/manager_server.hpp"

namespace hoist::detail::managers {

/// A process that stands for a client by the address: what is shared memory here, it uses in the
/// client's place, with a thread for each of the client's. It lives as long as the client and ends
/// as that did, so whoever shares a lock with a client that is killed far away is told what he
/// would be if it had been killed here.
class Agent {
 public:
  /// The proxy of what stands there for an object of this server, which is made when it is first
  /// needed, as is the agent. Throws ManagerDied if the client is gone.
  ProxyHandle proxy(std::uint64_t object, const MakeAgentProxy& make);
  /// The client has no reference to an object any more.
  void forget(std::uint64_t object);
  /// When the client has ended: `in_order`, or otherwise.
  void end(bool in_order);

 private:
  std::mutex mutex_;
  bool has_ended_ = false;
  std::unique_ptr<ManagerServer> server_;
  std::map<std::uint64_t, ProxyHandle> proxies_;  // by the object
};

/// Those of the clients of this server. A client that has connected anew may be there twice, until
/// the end of its old connection is noticed.
class Agents {
 public:
  void add(Client client);
  /// Throws ManagerDied where the client is not there.
  std::shared_ptr<Agent> find(Client client);
  /// One less; the agent ends with the last.
  void end(Client client, bool in_order);

 private:
  struct Known {
    std::shared_ptr<Agent> agent;
    int connections = 0;
  };

  std::mutex mutex_;
  std::map<Client, Known> all_;
};

}  // namespace hoist::detail::managers
