// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/redis.hpp>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "redis/connection.hpp"
#include "redis/host_keys.hpp"
#include "redis/transport.hpp"
#include "redis/url.hpp"

namespace hoist {

namespace {

using namespace detail::redis;

/// Ids of the hosts whose signs of life are fresh.
std::vector<std::string> ids_of_hosts(Connection& connection, const Url& url) {
  const Reply time = connection.call({"TIME"});
  const std::string now = time.items.at(0).text + "000";
  const Reply members = connection.call({"ZRANGEBYSCORE", HostKeys(url).hosts(), now, "+inf"});
  std::vector<std::string> ids;
  for (const Reply& member : members.items)
    ids.push_back(member.text.substr(0, member.text.find(':')));
  return ids;
}

}  // namespace

std::vector<RedisWorkerHost> redis_worker_hosts(const RedisOptions& options) {
  const Url url = url_of(options);
  Connection connection(url);
  std::vector<RedisWorkerHost> hosts;
  for (const std::string& id : ids_of_hosts(connection, url)) {
    hosts.push_back(parse_status(id, connection.call({"GET", HostKeys(url).status(id)}).text));
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
  const std::string list = HostKeys(url).inbox(id);
  connection.call({"RPUSH", list, RedisTransport::entry_of(order)});
  connection.call({"PEXPIRE", list, "10000"});
  return true;
}

}  // namespace hoist
