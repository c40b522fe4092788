// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/storage.hpp>
#include <hoist/digest.hpp>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <vector>

#include "ipc/channel.hpp"
#include "remote/transport.hpp"

// What a master and a worker host say to each other; docs/formats/remote.md has it byte by byte.
// The frames between a process and its worker (ipc::Kind) are passed on as they are, in both
// directions; what is said of workers and hosts themselves is in frames of further kinds.

namespace hoist::detail::remote {

inline constexpr std::uint32_t protocol_version = 1;

namespace kind {
using ipc::Kind;
inline constexpr Kind first{64};
// to the host
inline constexpr Kind welcome{64};      // the master's machine
inline constexpr Kind refused{65};      // why, for the user
inline constexpr Kind start{66};        // a worker: its options
inline constexpr Kind kill{67};         // unless it has begun more tasks; 0: in any case
inline constexpr Kind stop{68};         // stop_before_next
inline constexpr Kind forget_blob{69};  // digest
inline constexpr Kind flush{70};        // send the worker's output
inline constexpr Kind printed{71};      // 1 or 2: its oldest lines are written
inline constexpr Kind end{72};          // all workers are to leave
// to the master
inline constexpr Kind hello{80};
inline constexpr Kind died{81};     // how, tasks begun, last lines
inline constexpr Kind output{82};   // 1 or 2, lines
inline constexpr Kind flushed{83};  // the answer to `flush`
inline constexpr Kind unsent{84};   // results that will come again
inline constexpr Kind ended{85};    // the answer to `end`
// both ways
inline constexpr Kind begun{89};  // how many tasks has the worker begun?
inline constexpr Kind piece{90};  // of a blob: digest, size of all, offset, bytes
}  // namespace kind

/// Before each frame.
struct FrameHead {
  std::uint64_t bytes = 0;  // of its content
  ipc::Kind kind{};
  std::uint32_t worker = 0;  // the master's number; 0: the host itself
};

/// Appends a frame to others; returns where its content begins.
std::size_t append_frame(std::vector<std::byte>& frames, ipc::Kind kind, std::uint32_t worker,
                         std::span<const std::byte> content);

/// Frames for one peer, in their order: short ones gather in one message, long ones are cut, and of
/// blobs no more is copied than is under way.
class Outbox {
 public:
  Outbox(Transport& transport, Peer peer) : transport_(transport), peer_(peer) {}

  void put(ipc::Kind kind, std::uint32_t worker, std::span<const std::byte> content);
  /// Whole frames, as append_frame makes them.
  void put_frames(std::span<const std::byte> frames);
  /// The bytes of a blob, in frames `piece`.
  void put_blob(const Digest& name, std::shared_ptr<const Storage> bytes);
  /// Hands over to the transport as much as that should have at a time. Returns whether anything
  /// was.
  bool pump();
  /// Whether so many bytes can be put without piling up.
  bool has_room(std::size_t bytes) const { return waiting_ + bytes <= most_waiting; }
  bool empty() const { return parts_.empty(); }
  /// Whether there is as much as makes a message.
  bool is_full() const { return waiting_ >= full_message; }

 private:
  static constexpr std::size_t most_waiting = std::size_t{8} << 20;
  /// Frames are gathered up to about this size, which a transport hardly notices.
  static constexpr std::size_t full_message = std::size_t{64} << 10;

  struct Part {
    std::vector<std::byte> frames;
    std::shared_ptr<const Storage> blob;  // else
    Digest name;
    std::size_t at = 0;  // what precedes that is sent
  };
  std::vector<std::byte>& room_for(std::size_t bytes);
  bool pump_frames(Part& part);
  bool pump_blob(Part& part);

  Transport& transport_;
  Peer peer_;
  std::deque<Part> parts_;
  std::size_t waiting_ = 0;  // bytes of frames in parts_
};

/// Takes messages apart into the frames that an Outbox has put in.
class Inbox {
 public:
  /// The content is valid during the call.
  using Handler = std::function<void(ipc::Kind, std::uint32_t worker, std::span<const std::byte>)>;
  /// Throws DamagedData for a length that no frame has.
  void add(std::span<const std::byte> message, const Handler& handle);

 private:
  std::vector<std::byte> begun_;  // the beginning of a frame whose rest is to come
};

/// Memory files that arrive in pieces.
class BlobStore {
 public:
  struct Blob {
    os::Fd fd;
    std::uint64_t bytes = 0;
    std::uint64_t arrived = 0;
  };
  /// Takes the content of a frame `piece`. Throws DamagedData.
  void add(std::span<const std::byte> piece);
  /// A complete one. Throws DamagedData where there is none.
  const Blob& find(const Digest& name) const;
  void forget(const Digest& name) { blobs_.erase(name); }
  Blob take(const Digest& name);

 private:
  std::map<Digest, Blob> blobs_;
};

}  // namespace hoist::detail::remote
