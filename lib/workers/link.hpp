// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <functional>
#include <span>

#include "workers/channel.hpp"

namespace hoist::detail {

/// One end of a channel: frames out and in, descriptors beside them. Used by one thread at a time.
class Link {
 public:
  Link() = default;
  /// `worker_end` says which ring is for writing. `peer_bell` is rung where the peer may sleep;
  /// `own_bell` is slept on; `peer_is_gone` ends every wait of this end.
  Link(const ChannelMemory& memory, int socket, bool worker_end);

  /// Sends a frame and, before it, a descriptor (or -1). False where the peer is gone. The peer is
  /// not woken before `ring()`, unless the ring is full.
  bool send(Kind kind, std::span<const std::byte> content, int fd, Bell& own_bell,
            const std::function<bool()>& peer_is_gone);
  void ring() { peer_bell_->ring(); }
  void set_peer_bell(Bell* bell) { peer_bell_ = bell; }

  bool has_room(std::size_t bytes) { return out_.reserve(bytes) != nullptr; }
  bool has_input() const { return !in_.empty(); }
  /// Calls `handle(kind, content)` for each frame that is there, at most `limit`; content is valid
  /// during the call. Returns how many there were.
  std::size_t receive(const std::function<void(Kind, std::span<const std::byte>)>& handle,
                      std::size_t limit);
  /// The descriptor that came before the frame at hand. Throws DamagedData where there is none.
  Fd take_descriptor();

 private:
  bool write(Kind kind, std::span<const std::byte> content, Bell& own_bell,
             const std::function<bool()>& peer_is_gone);

  RingWriter out_;
  RingReader in_;
  int socket_ = -1;
  Bell* peer_bell_ = nullptr;
};

}  // namespace hoist::detail
