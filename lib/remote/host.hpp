// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <chrono>
#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <string>

#include "remote/wire.hpp"

namespace hoist::detail::remote {

class RemoteWorker;

/// A worker host as its master knows it.
struct Host {
  Host(Transport& transport, Peer its_peer, std::string its_name)
      : peer(its_peer),
        name(std::move(its_name)),
        round_trip(transport.round_trip()),
        outbox(transport, its_peer) {}

  /// Sees to it that the host has the bytes, for one more user.
  template <class Map>
  void use_blob(const Digest& digest, const Map& map) {
    auto there = blobs_there_.find(digest);
    if (there == blobs_there_.end()) {
      const auto bytes = map();  // may throw: the host is not to count as having it
      outbox.put_blob(digest, bytes);
      there = blobs_there_.emplace(digest, BlobThere{.bytes = bytes->bytes()}).first;
    } else if (there->second.users == 0) {
      unused_blobs_.remove(digest);
      unused_bytes_ -= there->second.bytes;
    }
    ++there->second.users;
  }
  /// Workers in use for each that it is for.
  double load() const { return slots == 0 ? 0 : static_cast<double>(leased) / slots; }
  /// One user less: it is kept for the next loop, unless many are.
  void release_blob(const Digest& digest);

  const Peer peer;
  const std::string name;
  const std::chrono::microseconds round_trip;
  bool has_greeted = false;
  unsigned slots = 0;  ///< how many workers it is for
  unsigned cores = 0;
  Outbox outbox;
  Inbox inbox;
  BlobStore results;  ///< large parts of results that are arriving
  std::map<std::uint32_t, std::shared_ptr<RemoteWorker>> workers;
  std::size_t leased = 0;  ///< workers that loops have

 private:
  struct BlobThere {
    std::uint64_t bytes = 0;
    std::size_t users = 0;
  };
  std::map<Digest, BlobThere> blobs_there_;
  std::list<Digest> unused_blobs_;  // the latest last
  std::uint64_t unused_bytes_ = 0;
};

}  // namespace hoist::detail::remote
