// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <functional>
#include <span>
#include <utility>

#include "ipc/channel.hpp"

namespace hoist::detail::ipc {

/// Gets a frame; its content is valid during the call.
using FrameHandler = std::function<void(Kind kind, std::span<const std::byte> content)>;

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
  void ring() { peer_bell_ != nullptr ? peer_bell_->ring() : wake_peer_(); }
  void set_peer_bell(Bell* bell) { peer_bell_ = bell; }
  /// For a peer that sleeps on something else.
  void set_wake_peer(std::function<void()> wake) { wake_peer_ = std::move(wake); }

  bool has_room(std::size_t bytes) { return out_.reserve(bytes) != nullptr; }
  /// The place of the next frame's content, for one that is written bit by bit: at most `bytes`.
  /// Waits until there is room; null where the peer is gone. Nothing else may be sent before
  /// `commit`.
  std::byte* reserve(std::size_t bytes, Bell& own_bell, const std::function<bool()>& peer_is_gone);
  void commit(Kind kind, std::size_t content_bytes);
  /// Bytes ever sent, of frames.
  std::uint64_t sent() const { return out_.position(); }

  bool has_input() const { return !in_.empty(); }
  /// Gives `handle` each frame that is there, at most `limit`. Returns how many there were.
  std::size_t receive(const FrameHandler& handle, std::size_t limit);
  /// What comes behind the last frame from a peer that is no more, and how many bytes it had sent.
  std::span<std::byte> behind_input() const;
  std::uint64_t received() const { return in_.position(); }
  /// The descriptor that came before the frame at hand. Throws DamagedData where there is none.
  os::Fd take_descriptor();

 private:
  RingWriter out_;
  RingReader in_;
  int socket_ = -1;
  Bell* peer_bell_ = nullptr;
  std::function<void()> wake_peer_;
};

}  // namespace hoist::detail::ipc
