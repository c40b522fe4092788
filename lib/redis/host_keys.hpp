// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/redis.hpp>

#include <string>

#include "redis/url.hpp"

namespace hoist::detail::redis {

/// The names of the keys by which masters and worker hosts meet: docs/formats/redis.md.
class HostKeys {
 public:
  explicit HostKeys(const Url& url) : front_(url.front()) {}

  std::string masters() const { return front_ + "masters"; }
  std::string hosts() const { return front_ + "hosts"; }
  std::string inbox(const std::string& id) const { return front_ + "i:" + id; }
  std::string status(const std::string& id) const { return front_ + "s:" + id; }

 private:
  std::string front_;
};

/// What a host says of itself, as the value of its status key. Its id is in the name of that.
std::string status_text(const RedisWorkerHost& host);
/// Reads that; members that it doesn't have keep their defaults.
RedisWorkerHost parse_status(const std::string& id, const std::string& text);

}  // namespace hoist::detail::redis
