// SPDX-License-Identifier: BSD-3-Clause
#include "remote/host.hpp"

#include "remote/remote_worker.hpp"

namespace hoist::detail::remote {

namespace {

/// So much may stay with a host for loops to come: bytes, and descriptors.
constexpr std::uint64_t most_unused_bytes = std::uint64_t{512} << 20;
constexpr std::size_t most_unused = 64;

}  // namespace

void Host::release_blob(const Digest& digest) {
  const auto known = blobs_there_.find(digest);
  if (known == blobs_there_.end() || --known->second.users > 0) return;
  unused_blobs_.push_back(digest);
  unused_bytes_ += known->second.bytes;
  while (unused_bytes_ > most_unused_bytes || unused_blobs_.size() > most_unused) {
    const Digest oldest = unused_blobs_.front();
    unused_blobs_.pop_front();
    unused_bytes_ -= blobs_there_.extract(oldest).mapped().bytes;
    ipc::FieldWriter frame;
    frame.put(oldest);
    outbox.put(kind::forget_blob, 0, frame.bytes());
  }
}

}  // namespace hoist::detail::remote
