// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/redis.hpp>

#include <algorithm>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "redis/connection.hpp"
#include "redis/transport.hpp"
#include "redis/url.hpp"

namespace hoist {

namespace {

using namespace detail::redis;

std::string front_of(const Url& url) { return "{hoist:" + url.name + "}:"; }

/// Ids of the hosts whose signs of life are fresh.
std::vector<std::string> ids_of_hosts(Connection& connection, const Url& url) {
  const Reply time = connection.call({"TIME"});
  const std::string now = time.items.at(0).text + "000";
  const Reply members = connection.call({"ZRANGEBYSCORE", front_of(url) + "hosts", now, "+inf"});
  std::vector<std::string> ids;
  for (const Reply& member : members.items)
    ids.push_back(member.text.substr(0, member.text.find(':')));
  return ids;
}

/// What RedisTransport::publish has written.
RedisWorkerHost host_of(const std::string& id, const std::string& status) {
  RedisWorkerHost host{.id = id};
  std::istringstream fields(status);
  long age = 0;
  fields >> host.pid >> host.slots >> host.cores >> host.workers >> host.programs >> host.tasks >>
      host.tasks_per_second >> age >> host.is_leaving >> host.machine;
  host.age = std::chrono::seconds(age);
  return host;
}

}  // namespace

std::vector<RedisWorkerHost> redis_worker_hosts(const RedisOptions& options) {
  const Url url = url_of(options);
  Connection connection(url);
  std::vector<RedisWorkerHost> hosts;
  for (const std::string& id : ids_of_hosts(connection, url)) {
    hosts.push_back(host_of(id, connection.call({"GET", front_of(url) + "s:" + id}).text));
  }
  return hosts;
}

bool end_redis_worker_host(const RedisOptions& options, const std::string& id, HostEnd when) {
  const Url url = url_of(options);
  Connection connection(url);
  const auto ids = ids_of_hosts(connection, url);
  if (std::ranges::find(ids, id) == ids.end()) return false;
  const auto order =
      when == HostEnd::now ? RedisTransport::Order::end : RedisTransport::Order::leave;
  const std::string list = front_of(url) + "i:" + id;
  connection.call({"RPUSH", list, RedisTransport::entry_of(order)});
  connection.call({"PEXPIRE", list, "10000"});
  return true;
}

}  // namespace hoist
